"""Which final activation and loss suit a classifier, and which fail?

Run     python -m jaxdl.main --experiment=final_activation
Takes   63 s on 2 CPU cores (2026-11-30)
Result  against softmax, cross-entropy, percentage points of test accuracy, 95 % intervals over 10
        seeds and 1,798 test images: worse: sigmoids, binary -3.83 (-6.18 to -1.49), sigmoids,
        squared -50.56 (-54.81 to -46.30), tanh, squared -55.90 (-60.67 to -51.12), ReLU, softmax
        -55.34 (-64.23 to -46.46), sigmoid, softmax -12.01 (-13.43 to -10.59), softmax twice -23.96
        (-29.32 to -18.60); no difference found: softmax, squared
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
