"""Which batch size gives the best test accuracy for equal numbers of epochs?

Run     python -m jaxdl.main --experiment=batch_size
Takes   60 s on 2 CPU cores (2026-11-30)
Result  against 32, percentage points of test accuracy, 95 % intervals over 10 seeds and 1,798 test
        images: better: 16 +1.02 (+0.37 to +1.66); worse: 64 -1.53 (-2.09 to -0.97), 256 -28.36
        (-34.24 to -22.49); no difference found: 128
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
