"""How should a network start: why do zeros and ones fail, and does the right variance matter?

Design  binary classification by an MLP of three hidden layers of 32 tanh units, without a norm to repair the start;
        all strategies in one program, the same data order on each seed
Run     python -m jaxdl.main --experiment=init
Takes   26 s on 2 CPU cores (2026-11-24)
Found   against he_normal, points of test accuracy, 95 %, 10 seeds: worse: zeros -33.25 (-34.00 to -32.49), ones -7.81
        (-8.56 to -7.06); no difference found: normal_0.01, normal_1, glorot_uniform, glorot_normal, lecun_normal,
        orthogonal. two moons: worse: zeros -47.15 (-47.60 to -46.70), ones -21.00 (-31.06 to -10.94), normal_0.01
        -33.30 (-45.40 to -21.20); no difference found: normal_1, glorot_uniform, glorot_normal, lecun_normal,
        orthogonal
"""

from jaxdl import Ablation, Data, Variant, geometric

WHY = {
    'he_normal': 'variance 2 / inputs: keeps the size of a signal through ReLU (He et al. 2015)',
    'zeros': 'every unit is the same and stays the same: no gradient reaches a layer through zero weights',
    'ones': 'every unit of a layer is the same, so all get one gradient and stay the same for ever; sums saturate',
    'normal_0.01': 'almost zero: signals and gradients shrink about a hundredfold with every layer',
    'normal_1': 'far too large: activations saturate, gradients vanish or explode',
    'glorot_uniform': 'variance 2 / (inputs + outputs): keeps signal and gradient alike (Glorot and Bengio 2010)',
    'glorot_normal': 'the same variance, from a normal distribution',
    'lecun_normal': 'variance 1 / inputs: keeps the size of a signal through a linear layer (LeCun et al. 1998)',
    'orthogonal': 'every singular value is 1: no direction shrinks or grows (Saxe et al. 2014)',
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
