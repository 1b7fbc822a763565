"""Which initialisations work, and why do zeros and ones fail?

Design  binary classification, an MLP of three hidden layers of 32 tanh units without normalisation
Run     python -m jaxdl.main --experiment=init
Takes   26 s on 2 CPU cores (2026-11-24)
Result  against he_normal, percentage points of test accuracy, 95 % intervals, 10 seeds. Breast
        cancer: worse: zeros -33.25 (-34.00 to -32.49), ones -7.81 (-8.56 to -7.06). Two moons:
        worse: zeros -47.15 (-47.60 to -46.70), ones -21.00 (-31.06 to -10.94), normal_0.01 -33.30
        (-45.40 to -21.20). No difference found: all others
"""

from jaxdl import Ablation, Data, Variant, geometric

WHY = {
    'he_normal': 'variance 2 / inputs: constant signal size through ReLU (He et al. 2015)',
    'zeros': 'equal units stay equal; zero weights pass no gradient',
    'ones': 'equal units get equal gradients and stay equal; pre-activations saturate',
    'normal_0.01': 'almost zero: signals and gradients shrink by about 100 per layer',
    'normal_1': 'too large: activations saturate, gradients vanish or explode',
    'glorot_uniform': 'variance 2 / (inputs + outputs) (Glorot and Bengio 2010)',
    'glorot_normal': 'the same variance, normal distribution',
    'lecun_normal': 'variance 1 / inputs: for linear layers (LeCun et al. 1998)',
    'orthogonal': 'all singular values 1: no direction shrinks or grows (Saxe et al. 2014)',
}

EXPERIMENT = Ablation(
    factor='init',
    baseline='he_normal',
    options={name: dict(init=name) for name in WHY},
    why=WHY,
    conditions={'': {}, 'two moons': {'data.dataset': 'moons'}},
    data=Data(dataset='breast_cancer'),
    variant=Variant(model='mlp', width=32, depth=3, norm='none', activation='tanh', batch_size=32),
    learning_rates=geometric(0.001, 1.0, 7),
    probes=('gradient_norms', 'distinct_units', 'boundary'),
)
