"""Which final activation and loss should a classifier have, and what do the common mistakes cost?

Run    python -m jaxdl.main --experiment=final_activation
Takes  54 s on 2 CPU cores (2026-11-24)
Found  against softmax, cross-entropy, points of test accuracy, 95 %, 10 seeds: worse: sigmoids, squared -9.22 (-12.09
       to -6.35), tanh, squared -36.53 (-43.24 to -29.82), ReLU, softmax -43.28 (-52.69 to -33.86), softmax twice -7.22
       (-11.86 to -2.58); no difference found: sigmoids, binary, softmax, squared, sigmoid, softmax
"""

from jaxdl import Ablation, Variant

# option -> (its loss, its own centre of the grid, what it does). The sums of squares and the ReLU want smaller steps.
LOSSES = {
    'softmax, cross-entropy': ('softmax_cross_entropy', 1, 'gradient p - t: largest where most wrong'),
    'sigmoids, binary': ('sigmoid_cross_entropy', 1, 'one against all: classes do not compete, gradient still p - t'),
    'softmax, squared': ('softmax_squared_error', 1, "p - t times softmax's slope: vanishes when surely wrong"),
    'sigmoids, squared': ('sigmoid_squared_error', 0.1, "the same with the sigmoid's slope, at most 1/4"),
    'tanh, squared': ('tanh_squared_error', 0.03, 'targets -1 and 1: four times the slope of the sigmoid'),
    'ReLU, softmax': ('relu_softmax_cross_entropy', 0.1, 'a mistake: below 0 a logit has no gradient, none can fall'),
    'sigmoid, softmax': ('sigmoid_softmax_cross_entropy', 1, 'a mistake: logits in (0, 1), so softmax stays near 1/C'),
    'softmax twice': ('double_softmax_cross_entropy', 1, 'a mistake: the inner probabilities are the outer logits'),
}

EXPERIMENT = Ablation(
    factor='final activation',
    baseline='softmax, cross-entropy',
    options={name: dict(loss=loss, learning_rate_scale=scale) for name, (loss, scale, _) in LOSSES.items()},
    why={name: why for name, (*_, why) in LOSSES.items()},
    variant=Variant(width=16, depth=2, batch_size=32),
    pictures=('logit_gradients',),
)
