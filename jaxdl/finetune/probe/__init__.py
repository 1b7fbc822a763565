"""The linear probe: a grid of heads on features of a frozen network, trained as one group."""

from jaxdl.finetune.probe.choosing import (
    COLUMNS,
    ProbeResult,
    count_heads,
    fit_head,
    run,
    score_random_split,
)
from jaxdl.finetune.probe.heads import compute_whitening, log_probabilities

__all__ = [
    'COLUMNS',
    'ProbeResult',
    'compute_whitening',
    'count_heads',
    'fit_head',
    'log_probabilities',
    'run',
    'score_random_split',
]
