"""Does dropout help, and does it help more where there is less data?

Run    python -m jaxdl.main --experiment=dropout
Takes  30 s on 2 CPU cores (2026-11-24)
Found  against 0, points of test accuracy, 95 %, 10 seeds: all training data: worse: 0.75 -2.00 (-2.75 to -1.25); no
       difference found: 0.1, 0.25, 0.5. a quarter of it: worse: 0.75 -12.25 (-13.80 to -10.70); no difference found:
       0.1, 0.25, 0.5
"""

from jaxdl import Ablation, Variant

EXPERIMENT = Ablation(
    factor='dropout',
    baseline='0',
    options={f'{rate:g}': dict(dropout=rate) for rate in (0.0, 0.1, 0.25, 0.5, 0.75)},
    why={
        '0': 'every feature counts in every step',
        '0.1': 'one feature in ten is missing: hardly noise',
        '0.25': 'no feature can rely on one other',
        '0.5': 'the classical rate (Srivastava et al. 2014), for layers much wider than this one',
        '0.75': 'a quarter of the features must be enough: likely too few of a narrow layer',
    },
    conditions={'all training data': {}, 'a quarter of it': {'data.train_share': 0.25}},
    second_factor='training data',
    variant=Variant(width=16, depth=2, batch_size=32),
)
