"""Fine-tuning of a pretrained network: set-up, probe, training loop, final steps and records.

May import inference, report, ensemble, config, train and everything below. Interface: `run`.
"""
