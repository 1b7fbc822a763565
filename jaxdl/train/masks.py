"""Trees like a network's parameters: which of them learn, and at which share of the learning rate.

A part is a top-level key of the parameters: `conv1`, `layer1_0` or `head` of a `models.ResNet`,
`stage_0` of a `CNN`, `layer_0` of an `MLP`. A stage is a group of parts: `stem`, `layer1`, ...,
`norm` or `head`; a part of a small network is a stage of its own. In a vision transformer the stem
is the patches and the tokens, and `layer1` to `layer4` are quarters of the blocks. Names may be
those of parts or of stages. `early` stands for the stem and all stages of blocks except the last
one. `norm` is the last norm of a residual network before the head: the final norm of a
pre-activation network, otherwise the last norm on the branch of the last block.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.errors import InputError, unknown

HEAD, NORM, STEM, HIDDEN, GLOBAL_POOL = 'head', 'norm', 'stem', 'hidden', 'global_pool'
EARLY = 'early'
RESIDUAL_BLOCK = re.compile(r'(layer\d+)_(\d+)')
BLOCK = re.compile(r'(?:layer(\d+)_|layer_|stage_)(\d+)')
OF_STEM = re.compile(r'(conv1|bn|norm)(_?\d+)?|embed')


def stage_of(part: str) -> str:
    """Name of the stage that a part belongs to.

    Raises:
      InputError: no network of jaxdl has such a part.
    """
    block = RESIDUAL_BLOCK.fullmatch(part)
    if block:
        return block[1]
    if part in (HEAD, NORM, HIDDEN, GLOBAL_POOL) or BLOCK.fullmatch(part):
        return part
    if OF_STEM.fullmatch(part):
        return STEM
    raise InputError(
        f'parameters named {part!r}: masks and layer-wise rates need the names stem, layer1_0, '
        'stage_0, layer_0, hidden, norm and head'
    )


def parts(params: Any) -> dict[str, int]:
    """Depth of every part, from the input on.

    The stem has depth 0. Each block adds 1, and so do a hidden layer before the head and the head.
    The final norm of a pre-activation network has the depth of the last block.
    """
    stem = [part for part in params if stage_of(part) == STEM]
    blocks = sorted((part for part in params if BLOCK.fullmatch(part)), key=_place)
    depths = dict.fromkeys(stem, 0) | {part: i for i, part in enumerate(blocks, 1)}
    hidden = len(blocks) + (HIDDEN in params)
    last = {GLOBAL_POOL: len(blocks), NORM: len(blocks), HIDDEN: hidden, HEAD: hidden + 1}
    return depths | {part: depth for part, depth in last.items() if part in params}


def rate_scales(params: Any, layer_decay: jax.Array | float) -> Any:
    """Factor on each parameter's learning rate: `layer_decay` to the power of its distance.

    Args:
      params: parameters of a network.
      layer_decay: factor per block between a part and the head; may be traced.

    Returns:
      A tree like `params` of scalars; 1 for the head, exactly 1 everywhere where `layer_decay` is.
    """
    depths = parts(params)
    top = depths.get(HEAD, 1 + max(depths.values()))
    return _map_by_part(params, lambda part: layer_decay ** (top - depths[part]))


def mask_frozen(params: Any, names: Sequence[str]) -> Any:
    """True for every parameter of the named parts and stages, otherwise False.

    Raises:
      InputError: a name is neither a part nor a stage.
    """
    return _mask_named(params, names)


def mask_last_phase(params: Any, names: Sequence[str] = (HEAD, NORM)) -> Any:
    """True for the parameters that learn in the last phase of FixRes (Touvron et al. 2019)."""
    return _mask_named(params, names)


def mask_unfrozen(params: Any, progress_epochs: jax.Array | float, every: jax.Array | float) -> Any:
    """1 for the parameters that learn at `progress_epochs`, else 0: float32 scalars.

    Both numbers may be traced.

    Gradual unfreezing (Howard and Ruder 2018): the head from the start, a stage more every so many
    epochs, from the last one down, the stem at the end. `every` 0: all learn.
    """
    stages = [STEM, *_stages(params), HEAD]
    turns = {stage: turn for turn, stage in enumerate(reversed(stages))}
    turns |= {NORM: 1, GLOBAL_POOL: 1}  # learn with the last stage
    learns = lambda turn: jnp.asarray(progress_epochs >= turn * jnp.asarray(every), jnp.float32)
    return _map_by_part(params, lambda key: learns(turns[stage_of(key)]))


def _place(part: str) -> tuple[int, int]:
    block = BLOCK.fullmatch(part)
    assert block is not None
    return int(block[1] or 0), int(block[2])


def _stages(params: Any) -> list[str]:
    """The stages of blocks, in order."""
    return list(dict.fromkeys(stage_of(part) for part in parts(params) if BLOCK.fullmatch(part)))


def _map_by_part(params: Any, value: Callable[[str], Any]) -> Any:
    values = {part: value(part) for part in parts(params)}
    return jax.tree_util.tree_map_with_path(lambda path, _: values[path[0].key], params)


def _mask_named(params: Any, names: Sequence[str]) -> Any:
    stages = _list_names(params)
    for name in names:
        if name not in stages:
            raise unknown('part of the network', name, stages)
    if EARLY in names:
        names = (*names, STEM, *_stages(params)[:-1])
    last_norm = _last_norm(params) if NORM in names else ()

    def is_named(path: tuple[Any, ...], _: Any) -> bool:
        keys = tuple(step.key for step in path)
        of_last_norm = bool(last_norm) and keys[: len(last_norm)] == last_norm
        return keys[0] in names or stages[keys[0]] in names or of_last_norm

    return jax.tree_util.tree_map_with_path(is_named, params)


def _list_names(params: Any) -> dict[str, str]:
    """Every name that a mask may be given -> its stage.

    A user's own network has parts only.
    """
    try:
        order = parts(params)
    except InputError:
        return {part: part for part in params}
    stages = dict.fromkeys(stage_of(part) for part in order)
    if any(RESIDUAL_BLOCK.fullmatch(part) for part in order):
        stages |= {NORM: None}
    if any(BLOCK.fullmatch(part) for part in order):
        stages |= {EARLY: None}
    return {stage: stage for stage in stages} | {part: stage_of(part) for part in order}


def _last_norm(params: Any) -> tuple[str, ...]:
    """Path of the parameters of the last norm before the head."""
    if NORM in params:
        return (NORM,)
    norms = {
        part: max(layers)
        for part in params
        if BLOCK.fullmatch(part)
        and (layers := [key for key in params[part] if re.fullmatch(r'bn\d', key)])
    }
    block = max(norms, key=_place)
    return block, norms[block]
