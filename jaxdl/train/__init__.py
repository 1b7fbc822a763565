"""Training of one network: settings, the training step, losses, optimizers, schedules, metrics.

May import augment, models, data and everything below. Interface: `settings` and `variant` (what is
traced, initial or static), `train_step`, `losses`, `optim`, `metrics`, `masks`, `averaging`,
`diagnostics`, `figure_data`, and `keys` (random streams).
"""
