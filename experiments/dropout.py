"""Does dropout improve test accuracy, with much or little training data?

Run     python -m jaxdl.main --experiment=dropout
Takes   64 s on 2 CPU cores (2026-11-30)
Result  against 0, percentage points of test accuracy, 95 % intervals over 10 seeds and 1,798 test
        images. All training data: worse: 0.5 -4.45 (-5.78 to -3.13), 0.75 -17.35 (-19.50 to
        -15.20); no difference found: 0.1, 0.25. A tenth of it: better: 0.25 +1.57 (+1.02 to +2.12),
        0.5 +2.46 (+1.74 to +3.19); no difference found: 0.1, 0.75
"""

from jaxdl import Ablation, Variant

EXPERIMENT = Ablation(
    factor='dropout',
    baseline='0',
    options={f'{rate:g}': dict(dropout=rate) for rate in (0.0, 0.1, 0.25, 0.5, 0.75)},
    why={
        '0': 'all features in every step',
        '0.1': 'one feature in ten is dropped: weak noise',
        '0.25': 'one feature in four is dropped',
        '0.5': 'the classical rate (Srivastava et al. 2014), chosen for much wider layers',
        '0.75': 'a quarter of the features remains: probably too few',
    },
    # Ten times the epochs give about as many steps with a tenth of the images.
    conditions={'all training data': {}, 'a tenth of it': {'data.train_share': 0.1, 'epochs': 200}},
    second_factor='training data',
    variant=Variant(model='mlp', width=128, depth=2, norm='none', batch_size=32),
)
