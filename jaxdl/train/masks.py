"""Which parameters of a residual network learn, when and how fast: trees like its parameters.

A value for every leaf.

A part is a top-level key of `models.ResNet`'s parameters (`conv1`, `layer1_0`, `head`); a stage is
`stem`, `layer1`, ..., `norm` or `head`. Where names are asked for, both serve; `norm` is the last
norm before the head: that of a pre-activation network, else the last one on the branch of the last
block.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.errors import InputError, unknown

HEAD, NORM, STEM = 'head', 'norm', 'stem'
BLOCK = re.compile(r'(layer\d+)_(\d+)')
OF_STEM = re.compile(r'(conv1|bn)(_?\d+)?')


def stage_of(key: str) -> str:
    """The stage of a part; InputError for a key that a residual network has not."""
    block = BLOCK.fullmatch(key)
    if block:
        return block[1]
    if key in (HEAD, NORM):
        return key
    if OF_STEM.fullmatch(key):
        return STEM
    raise InputError(
        f'parameters named {key!r}: masks are for residual networks (stem, layer1, ..., norm, head)'
    )


def parts(params: Any) -> dict[str, int]:
    """Every top-level key, from the input on, with its depth: the stem 0, each block 1 more.

    The head the last.

    The norm of a pre-activation network has the depth of the last block.
    """
    blocks = sorted((key for key in params if BLOCK.fullmatch(key)), key=_place)
    depths = {key: 0 for key in params if stage_of(key) == STEM} | {
        key: i for i, key in enumerate(blocks, 1)
    }
    last = {NORM: len(blocks), HEAD: len(blocks) + 1}
    return depths | {key: depth for key, depth in last.items() if key in params}


def rate_scales(params: Any, layer_decay: float) -> Any:
    """What multiplies each rate.

    `layer_decay` to the power of the blocks between the part and the head.
    """
    depths = parts(params)
    top = 1 + max(depth for key, depth in depths.items() if key != HEAD)
    return _by_part(params, lambda key: float(layer_decay) ** (top - depths[key]))


def frozen(params: Any, names: Sequence[str]) -> Any:
    """True for every parameter of the named parts and stages.

    InputError for a name that is neither.
    """
    return _named(params, names)


def only(params: Any, names: Sequence[str] = (HEAD, NORM)) -> Any:
    """True for the parameters that learn in the last phase of FixRes (Touvron et al.

    2019): the named ones alone.
    """
    return _named(params, names)


def unfrozen(params: Any, progress_epochs: jax.Array | float, every: jax.Array | float) -> Any:
    """1 for the parameters that learn at `progress_epochs`, else 0: float32 scalars.

    Both numbers may be traced.

    Gradual unfreezing (Howard and Ruder 2018): the head from the start, a stage more every so many
    epochs, from the last one down, the stem at the end. `every` 0: all learn.
    """
    stages = [STEM, *_stages(params), HEAD]
    turns = {stage: turn for turn, stage in enumerate(reversed(stages))}
    turns[NORM] = 1  # learns with the last stage
    learns = lambda turn: jnp.asarray(progress_epochs >= turn * jnp.asarray(every), jnp.float32)
    return _by_part(params, lambda key: learns(turns[stage_of(key)]))


def _place(key: str) -> tuple[int, int]:
    stage, index = key.removeprefix('layer').split('_')
    return int(stage), int(index)


def _stages(params: Any) -> list[str]:
    """The stages of blocks, in order."""
    return list(dict.fromkeys(stage_of(key) for key in parts(params) if BLOCK.fullmatch(key)))


def _by_part(params: Any, value: Callable[[str], Any]) -> Any:
    found = {key: value(key) for key in parts(params)}
    return jax.tree_util.tree_map_with_path(lambda path, _: found[path[0].key], params)


def _named(params: Any, names: Sequence[str]) -> Any:
    stages = [STEM, *_stages(params), NORM, HEAD]
    known = [*(stage for stage in stages if stage != HEAD or HEAD in params), *parts(params)]
    for name in names:
        if name not in known:
            raise unknown('part of the network', name, dict.fromkeys(known))
    last = _last_norm(params)

    def among(path: tuple[Any, ...], _: Any) -> bool:
        keys = tuple(step.key for step in path)
        return (
            keys[0] in names
            or stage_of(keys[0]) in names
            or (NORM in names and keys[: len(last)] == last)
        )

    return jax.tree_util.tree_map_with_path(among, params)


def _last_norm(params: Any) -> tuple[str, ...]:
    """Where the parameters of the last norm before the head are."""
    if NORM in params:
        return (NORM,)
    block = max((key for key in params if BLOCK.fullmatch(key)), key=_place)
    return block, max(key for key in params[block] if re.fullmatch(r'bn\d', key))
