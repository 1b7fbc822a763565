"""How many images should a step average, where every option sees as many in all?

Run    python -m jaxdl.main --experiment=batch_size
Takes  45 s on 2 CPU cores (2026-11-24)
Found  against 32, points of test accuracy, 95 %, 10 seeds: worse: 128 -0.67 (-1.11 to -0.23), 256 -1.14 (-1.52 to
       -0.76); no difference found: 16, 64
"""

from jaxdl import Ablation, Variant

# Equal epochs are unequal steps: 16 takes sixteen times as many as 256. Each grid is centred by the linear rule
# (Goyal et al. 2017), and every option keeps the rate that is best for it.
EXPERIMENT = Ablation(
    factor='batch_size',
    baseline='32',
    options={str(n): dict(batch_size=n, learning_rate_scale=n / 32) for n in (32, 16, 64, 128, 256)},
    why={
        '32': 'the batch size of the other studies',
        '16': 'twice the steps of 32, each twice as noisy; batch norm sees 16 images',
        '64': 'half the steps of 32',
        '128': 'a quarter of the steps: every one has to count more',
        '256': 'an eighth of the steps: few enough that the last epoch may still be learning',
    },
    variant=Variant(width=16, depth=2),
)
