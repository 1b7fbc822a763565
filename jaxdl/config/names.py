"""Names in the tables that a configuration refers to, for checks that import no table.

A test compares each tuple with its table: `train.diagnostics.PROBES`, `train.figure_data.PICTURES`,
`runtime.trackers.TRACKERS`.
"""

PROBES = ('gradient_norms', 'distinct_units', 'boundary')
PICTURES = ('contact_sheet', 'logit_gradients')
TRACKERS = ('tensorboard', 'wandb', 'mlflow', 'trackio')
