"""Which pooling gives the best test accuracy?

Run     python -m jaxdl.main --experiment=pooling
Takes   50 s on 2 CPU cores (2026-11-30)
Result  against max, percentage points of test accuracy, 95 % intervals over 10 seeds and 1,798 test
        images: better: avg +3.78 (+2.81 to +4.75), avgmax +2.98 (+2.05 to +3.91), l2 +3.74 (+2.66
        to +4.81); worse: strided -2.08 (-3.45 to -0.71)
"""

from jaxdl import Ablation, Variant, geometric

EXPERIMENT = Ablation(
    factor='pooling',
    baseline='max',
    options={name: dict(pooling=name) for name in ('max', 'avg', 'avgmax', 'l2', 'strided')},
    why=dict(
        max='largest of four responses; the gradient reaches one input',
        avg='mean of four responses; the gradient reaches all inputs equally',
        avgmax='mean of max and avg: the gradient reaches all inputs, most the largest',
        l2='root mean square: between mean and maximum, smooth, ignores the sign',
        strided='2 x 2 convolution of stride 2: learnt downsampling, more parameters',
    ),
    variant=Variant(width=16, depth=2, batch_size=32),
    learning_rates=geometric(0.01, 1.0, 5),
    seeds=10,
    tuning_seeds=3,
    epochs=20,
)
