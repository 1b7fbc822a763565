"""Should the learning rate change over a run, and how?

Run    python -m jaxdl.main --experiment=schedule
Takes  26 s on 2 CPU cores (2026-11-24)
Found  against constant, points of test accuracy, 95 %, 10 seeds: no difference found
"""

from jaxdl import Ablation, Variant

EXPERIMENT = Ablation(
    factor='schedule',
    baseline='constant',
    options={name: dict(schedule=name) for name in ('constant', 'cosine', 'step', 'warmup_cosine', 'one_cycle')},
    why=dict(
        constant='the last steps are as noisy as the first',
        cosine='falls to 0 along half a wave (Loshchilov and Hutter 2017): the noise goes, the weights settle',
        step='a tenth at half of the run, a hundredth at three quarters of it',
        warmup_cosine='up from 0 first: no large step before the statistics and the momentum mean anything',
        one_cycle='up for three tenths of the run, then down below its start (Smith 2018)',
    ),
    variant=Variant(width=16, depth=2, batch_size=32),
)
