"""Tables of the benchmark: sizes of the work, and peers at their best known settings."""

from typing import Any

from benchmarks.sides import CORES
from benchmarks.workload import Size

MEMBERS = 15  # a group of the demo in its tuning phase: 3 seeds x 5 rates
OURS: dict[str, Any] = dict(module='our_side', options={})


def _size(
    side: int, channels: int, width: int, depth: int, batch: int, images: int, few: int
) -> Size:
    return dict(
        side=side, channels=channels, width=width, depth=depth, batch=batch, images=images, few=few
    )


# `images` makes an epoch of all members last about a second; `few` members are enough for a peer
# that is slow.
SIZES: dict[str, Size] = {
    '8x8x1, 16 and 32 channels, batch 32': _size(8, 1, 16, 2, 32, 1024, 15),
    '16x16x3, 16 to 64 channels, batch 32': _size(16, 3, 16, 3, 32, 1024, 8),
    '32x32x3, 16 to 64 channels, batch 32': _size(32, 3, 16, 3, 32, 256, 4),
    '32x32x3, 16 to 64 channels, batch 128': _size(32, 3, 16, 3, 128, 256, 2),
    '32x32x3, 32 to 128 channels, batch 64': _size(32, 3, 32, 3, 64, 256, 2),
}

SINGLE, PROCESSES = f'one after another, {CORES} threads', f'in {CORES} processes of 1 thread'
EAGER = 'eager, channels_last, fused SGD'
COMPILED = (
    'forward, gradients and update in one graph, mode default (max-autotune is slower), '
    'channels_last'
)
FUNC = (
    'vmap of grad_and_value over stacked parameters, running statistics as stacked buffers, '
    'channels_last'
)
OPTAX = "plain Flax and optax, XLA's own convolution, state donated"
PINNED = f'{OPTAX}; {CORES} processes, each pinned to a core'


def _torch(
    module: str, family: str, setting: str, processes: int, compiled: bool, **more: Any
) -> dict[str, Any]:
    options = dict(threads=CORES // processes, compiled=compiled)
    return (
        dict(module=module, family=family, setting=setting, processes=processes, options=options)
        | more
    )


def _jax(family: str, way: str, setting: str = OPTAX, **more: Any) -> dict[str, Any]:
    return dict(module='jax_side', family=family, setting=setting, options=dict(way=way)) | more


# `members` is a number, or the name of a number in the size; `rounds` where fewer than all must do.
PEERS: dict[str, dict[str, Any]] = {
    f'torch {SINGLE}': _torch('torch_side', 'torch', EAGER, 1, False),
    f'torch {PROCESSES}': _torch('torch_side', 'torch', EAGER, CORES, False),
    f'torch.compile {SINGLE}': _torch('torch_side', 'torch.compile', COMPILED, 1, True),
    f'torch.compile {PROCESSES}': _torch('torch_side', 'torch.compile', COMPILED, CORES, True),
    f'torch.func {PROCESSES}': _torch(
        'torch_func_side',
        'torch.func',
        f'torch.compile of {FUNC}',
        CORES,
        True,
        members=MEMBERS,
        rounds=2,
    ),
    f'jax.jit {SINGLE}': _jax('jax.jit', 'one'),
    f'jax.jit {PROCESSES}': _jax('jax.jit', 'one', PINNED, processes=CORES, pinned=True),
    'lax.map over members': _jax('lax.map', 'map', members='few', rounds=2),
    'naive vmap over members': _jax('vmap', 'vmap', members='few', rounds=2),
}


def members_of(name: str, size: Size) -> int:
    """Number of members that a process of a peer trains at once."""
    members = PEERS[name].get('members', 1)
    return size[members] if isinstance(members, str) else members
