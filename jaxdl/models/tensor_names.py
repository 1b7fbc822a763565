"""Names of tensors in weight files that all families share. Imports no jax."""

import re
from collections.abc import Iterable
from typing import Any

Signature = dict[str, Any]  # of a network: sizes that its tensors show; `stages` is a tuple
# Parts of networks that come after the pooled features, by the names that people give them.
HEAD_PARTS = (
    *('fc', '_fc', 'linear', 'head', 'heads', 'classifier', 'last_linear', 'dense0', 'projector'),
    *('projection_head', 'contrastive_head', 'predictor', 'mlp_head', 'head_dist'),
)
UNREAD = ('num_batches_tracked',)  # of every batch norm of PyTorch; nothing computes with it
TORCH = dict(kernel='weight', scale='weight', bias='bias', mean='running_mean', var='running_var')


def is_head(name: str) -> bool:
    """Whether a tensor is part of a head, by the first part of its name."""
    return name.split('.')[0] in HEAD_PARTS or re.match(r'resnetv2\d_dense0_', name) is not None


def list_names(names: Iterable[str], most: int = 10) -> str:
    """The first `most` names, and the number of the others."""
    names = list(names)
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
