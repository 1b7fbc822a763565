"""Which batch size gives the best test accuracy for equal numbers of epochs?

Run     python -m jaxdl.main --experiment=batch_size
Takes   45 s on 2 CPU cores (2026-11-24)
Result  against 32, percentage points of test accuracy, 95 % intervals, 10 seeds: worse: 128 -0.67
        (-1.11 to -0.23), 256 -1.14 (-1.52 to -0.76); no difference found: 16, 64
"""

from jaxdl import Ablation, Variant

# Equal epochs are unequal numbers of steps: 16 takes sixteen times as many as 256. Each grid is
# centred by the linear rule (Goyal et al. 2017); every option has its own best learning rate.
EXPERIMENT = Ablation(
    factor='batch_size',
    baseline='32',
    options={
        str(n): dict(batch_size=n, learning_rate_scale=n / 32) for n in (32, 16, 64, 128, 256)
    },
    why={
        '32': 'the batch size of the other studies',
        '16': 'twice the steps of 32, twice the gradient variance; batch norm over 16 images',
        '64': 'half the steps of 32',
        '128': 'a quarter of the steps of 32',
        '256': 'an eighth of the steps of 32: training may not have converged',
    },
    variant=Variant(width=16, depth=2),
)
