"""Training of one network: variant, state, training step, losses, optimizers, schedules, metrics.

Random streams.

May import augment, models, data and everything below. Interface: `variant`, `train_step`, `losses`,
`optim`, `metrics`, `keys`, `masks`, `averaging`, `diagnostics`, `figure_data`.
"""
