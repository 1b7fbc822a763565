"""Which optimizer, each at its own best learning rate?

Run    python -m jaxdl.main --experiment=optimizer
Takes  63 s on 2 CPU cores (2026-11-24)
Found  against momentum, points of test accuracy, 95 %, 10 seeds: no difference found
"""

from jaxdl import Ablation, Variant, geometric

# optimizer -> (its settings, its own centre of the grid against momentum's 0.1, what it does)
ROWS = {
    'momentum': ({}, 1, 'a running sum of gradients: noise cancels, slopes add up'),
    'sgd': (dict(momentum=0.0), 10, 'the gradient of the batch alone'),
    'nesterov': ({}, 1, 'momentum that looks one step ahead'),
    'rmsprop': (dict(momentum=0.0, beta2=0.9), 0.03, 'each weight by the root of its mean squared gradient'),
    'adagrad': (dict(momentum=0.0), 0.3, 'each weight by all of its gradients so far: its rate only falls'),
    'adam': ({}, 0.1, 'rmsprop with momentum, both corrected for their start'),
    'adamw': (dict(weight_decay=0.01), 0.1, 'adam, weight decay apart from the gradient (Loshchilov and Hutter 2019)'),
    'lion': (dict(beta2=0.99), 0.01, 'the sign of the momentum only (Chen et al. 2023)'),
    'muon': (dict(momentum=0.95), 0.1, "each kernel's momentum made orthogonal (Jordan 2024)"),
}

EXPERIMENT = Ablation(
    factor='optimizer',
    baseline='momentum',
    options={name: dict(optimizer=name, learning_rate_scale=scale, **own) for name, (own, scale, _) in ROWS.items()},
    why={name: why for name, (_, _, why) in ROWS.items()},
    variant=Variant(width=16, depth=2, batch_size=32),
    learning_rates=geometric(0.01, 1.0, 5),
)
