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


def block_of(part: str) -> tuple[int, int] | None:
    """Stage from 1 on and place from 0 on of a part of a network; None outside of the blocks.

    Examples:
      >>> block_of('layer2_0'), block_of('conv1')
      ((2, 0), None)
    """
    match = re.fullmatch(r'layer(\d+)_(\d+)', part)
    return (int(match[1]), int(match[2])) if match else None


def no_prefix(names: Iterable[str], row: Any) -> str:
    """Prefix of the names of a family whose names have none."""
    return ''


def never_truncated(name: str, row: Any) -> bool:
    """Whether a truncated network of a family without such networks lacks a tensor."""
    return False


def list_names(names: Iterable[str], most: int = 10) -> str:
    """The first `most` names, and the number of the others."""
    names = list(names)
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
