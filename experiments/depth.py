"""Do additional layers improve test accuracy, and at what cost?

Run     python -m jaxdl.main --experiment=depth
Takes   97 s on 2 CPU cores (2026-11-30)
Result  against 1 stage, percentage points of test accuracy, 95 % intervals over 10 seeds and 1,798
        test images: better: 2 stages +51.15 (+49.01 to +53.28), 3 stages +49.46 (+47.12 to +51.80),
        4 stages +49.99 (+47.63 to +52.35), 2 stages of 2 +57.18 (+54.90 to +59.47), 2 stages of 3
        +56.56 (+54.28 to +58.83), 2 stages, dense +48.24 (+45.78 to +50.69)
"""

from jaxdl import Ablation, Variant

EXPERIMENT = Ablation(
    factor='depth',
    baseline='1 stage',
    options={'1 stage': dict(depth=1)}
    | {f'{n} stages': dict(depth=n) for n in (2, 3, 4)}
    | {f'2 stages of {n}': dict(depth=2, convolutions=n) for n in (2, 3)}
    | {'2 stages, dense': dict(depth=2, hidden=64)},
    why={
        '1 stage': 'one convolution: features of 3 x 3 pixels, averaged over the image',
        '2 stages': 'pooling between them: the second convolution covers four times the area',
        '3 stages': 'channels doubled and side halved once more (12, 6, 3 pixels)',
        '4 stages': 'the fourth stage has one pixel: more parameters, hardly more area',
        '2 stages of 2': 'two 3 x 3 convolutions cover 5 x 5 pixels, with one more activation',
        '2 stages of 3': 'three 3 x 3 convolutions cover 7 x 7 pixels; six convolutions in all',
        '2 stages, dense': 'a dense layer of 64 units between global pooling and the last layer',
    },
    variant=Variant(width=16, batch_size=32),
)
