"""Which learning rate schedule gives the best test accuracy?

Run     python -m jaxdl.main --experiment=schedule
Takes   37 s on 2 CPU cores (2026-11-30)
Result  against constant, percentage points of test accuracy, 95 % intervals over 10 seeds and 1,798
        test images: better: cosine +4.22 (+1.52 to +6.92), step +4.62 (+2.05 to +7.19), one_cycle
        +7.15 (+4.21 to +10.08); no difference found: warmup_cosine
"""

from jaxdl import Ablation, Variant

EXPERIMENT = Ablation(
    factor='schedule',
    baseline='constant',
    options={
        name: dict(schedule=name)
        for name in ('constant', 'cosine', 'step', 'warmup_cosine', 'one_cycle')
    },
    why=dict(
        constant='the same learning rate in every step',
        cosine='decreases to 0 along half a cosine (Loshchilov and Hutter 2017)',
        step='divided by 10 at half of the run, by 100 at three quarters',
        warmup_cosine='linear warm-up from 0, then cosine: no large steps at the beginning',
        one_cycle='up for 30 % of the run, then down below the initial value (Smith 2018)',
    ),
    variant=Variant(width=16, depth=2, batch_size=32),
)
