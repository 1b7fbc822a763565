"""Ablation studies: the plan, the protocol run, tables, cost estimates and checks before training.

`analysis` compares results that were trained elsewhere, without jax. May import report, ensemble,
config, train and everything below. Interface: `run`, `planning`, `estimate`, `checks`, `analysis`.
"""
