"""Names of the rows of tables that a configuration refers to.

For checks without the tables' modules.

A test holds each tuple equal to its table: `train.diagnostics.PROBES`,
`train.figure_data.PICTURES`, `runtime.trackers.TRACKERS`.
"""

PROBES = ('gradient_norms', 'distinct_units', 'boundary')
PICTURES = ('contact_sheet', 'logit_gradients')
TRACKERS = ('tensorboard', 'wandb')
