"""Which pooling gives the best test accuracy?

Run     python -m jaxdl.main --experiment=pooling
Takes   32 s on 2 CPU cores (2026-11-24)
Result  against max, percentage points of test accuracy, 95 % intervals, 10 seeds: better: avg +0.69
        (+0.29 to +1.09), avgmax +0.56 (+0.18 to +0.93), l2 +0.81 (+0.28 to +1.33); worse: strided
        -0.67 (-0.90 to -0.43)
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
