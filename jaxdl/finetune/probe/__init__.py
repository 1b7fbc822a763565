"""Linear heads on the features of a frozen network: a grid of them trains as one group.

The best cell is chosen.
"""

from jaxdl.finetune.probe.choosing import COLUMNS, ProbeResult, doubt, head_of, members, run
from jaxdl.finetune.probe.heads import log_probabilities, whitening

__all__ = [
    'COLUMNS',
    'ProbeResult',
    'doubt',
    'head_of',
    'log_probabilities',
    'members',
    'run',
    'whitening',
]
