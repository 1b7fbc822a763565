"""Which final activation and loss suit a classifier, and which fail?

Run     python -m jaxdl.main --experiment=final_activation
Takes   54 s on 2 CPU cores (2026-11-24)
Result  against softmax, cross-entropy, percentage points of test accuracy, 95 % intervals, 10
        seeds: worse: sigmoids, squared -9.22 (-12.09 to -6.35), tanh, squared -36.53 (-43.24 to
        -29.82), ReLU, softmax -43.28 (-52.69 to -33.86), softmax twice -7.22 (-11.86 to -2.58); no
        difference found: sigmoids, binary, softmax, squared, sigmoid, softmax
"""

from jaxdl import Ablation, Variant

# option -> (loss, centre of its grid of learning rates, why). Squared errors and ReLU need smaller
# learning rates.
LOSSES = {
    'softmax, cross-entropy': ('softmax_cross_entropy', 1, 'gradient p - t: grows with the error'),
    'sigmoids, binary': ('sigmoid_cross_entropy', 1, 'one against all; gradient p - t per class'),
    'softmax, squared': ('softmax_squared_error', 1, 'small gradient for confident errors'),
    'sigmoids, squared': ('sigmoid_squared_error', 0.1, 'gradient times a derivative <= 1/4'),
    'tanh, squared': ('tanh_squared_error', 0.03, 'targets -1 and 1; derivative up to 1'),
    'ReLU, softmax': ('relu_softmax_cross_entropy', 0.1, 'a mistake: no gradient below 0'),
    'sigmoid, softmax': ('sigmoid_softmax_cross_entropy', 1, 'a mistake: logits in (0, 1) only'),
    'softmax twice': ('double_softmax_cross_entropy', 1, 'a mistake: probabilities as logits'),
}

EXPERIMENT = Ablation(
    factor='final activation',
    baseline='softmax, cross-entropy',
    options={
        name: dict(loss=loss, learning_rate_scale=scale)
        for name, (loss, scale, _) in LOSSES.items()
    },
    why={name: why for name, (*_, why) in LOSSES.items()},
    variant=Variant(width=16, depth=2, batch_size=32),
    pictures=('logit_gradients',),
)
