"""Does dropout help, and does it help more where there is less data?

Run    python -m jaxdl.main --experiment=dropout
Takes  TIME
Found  FOUND
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
