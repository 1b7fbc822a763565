"""Which activation between the layers gives the best test accuracy?

Run     python -m jaxdl.main --experiment=hidden_activation
Takes   66 s on 2 CPU cores (2026-11-30)
Result  against relu, percentage points of test accuracy, 95 % intervals over 10 seeds and 1,798
        test images: better: gelu +1.14 (+0.43 to +1.85), silu +1.91 (+1.01 to +2.81); worse:
        sigmoid -31.43 (-49.39 to -13.48), tanh -7.60 (-9.18 to -6.01); no difference found:
        leaky_relu
"""

from jaxdl import Ablation, Variant

EXPERIMENT = Ablation(
    factor='activation',
    baseline='relu',
    options={
        name: dict(activation=name)
        for name in ('relu', 'sigmoid', 'tanh', 'leaky_relu', 'gelu', 'silu')
    },
    why=dict(
        relu='derivative 1 above 0 and 0 below: gradients pass unchanged, units can die',
        sigmoid='derivative at most 1/4: each layer shrinks the gradient',
        tanh='derivative 1 at 0 only: centred outputs, saturates on both sides',
        leaky_relu='derivative 0.01 below 0: no dead units',
        gelu='smooth, not monotone just below 0 (Hendrycks and Gimpel 2016)',
        silu='x times sigmoid(x): close to gelu, cheaper (Elfwing et al. 2018)',
    ),
    variant=Variant(width=16, depth=2, batch_size=32),
)
