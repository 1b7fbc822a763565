"""The linear probe: a grid of heads on features of a frozen network, trained as one group."""

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
