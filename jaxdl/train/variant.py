"""One training run in one record: which of its values are traced, which only start it.

Which need another program.
"""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdl import augment, fields
from jaxdl.errors import unknown
from jaxdl.models import MODELS, layers
from jaxdl.train import losses, optim


def leaf(default: float, rule: fields.Rule) -> Any:
    """An array leaf of the pytree: another value, the same program."""
    return struct.field(default=default, metadata=dict(rule=rule))


def initial(default: Any, rule: fields.Rule) -> Any:
    """Read on the host before the first step (starting values, seeds): another value.

    The same program.
    """
    return struct.field(pytree_node=False, default=default, metadata=dict(rule=rule, initial=True))


def static(default: Any, rule: fields.Rule) -> Any:
    """Part of the tree's structure: another value, another program."""
    return struct.field(pytree_node=False, default=default, metadata=dict(rule=rule))


@struct.dataclass
class Variant:
    """One full setting of every knob of a training run.

    A field of a model that has this name takes its value.
    """

    learning_rate: float = leaf(0.1, fields.above(0))
    momentum: float = leaf(0.9, fields.within(0, 1))  # of adaptive optimizers: beta1
    beta2: float = leaf(
        0.999, fields.within(0, 1)
    )  # the decay of squared gradients; lion's second beta
    weight_decay: float = leaf(0.0, fields.at_least(0))
    dropout: float = leaf(0.0, fields.within(0, 1))
    label_smoothing: float = leaf(0.0, fields.within(0, 1))
    rotation: float = leaf(
        0.0, fields.between(0, 180)
    )  # the rows of augment.AUGMENTATIONS say what each measures
    translation: float = leaf(0.0, fields.between(0, 1))
    colour: float = leaf(0.0, fields.between(0, 1))
    flip: float = leaf(0.0, fields.between(0, 1))
    mixup: float = leaf(0.0, fields.at_least(0))
    cutmix: float = leaf(0.0, fields.between(0, 1))
    erasing: float = leaf(0.0, fields.between(0, 1))
    randaugment: float = leaf(0.0, fields.between(0, 1))
    strength: float = leaf(0.0, fields.at_least(0))  # of `augmentation`
    init: str = initial('he_normal', fields.one_of(layers.INITS))
    init_scale: float = initial(1.0, fields.at_least(0))
    learning_rate_scale: float = initial(
        1.0, fields.above(0)
    )  # multiplies this option's grid of learning rates
    seed_offset: int = initial(
        0, fields.at_least(0)
    )  # added to the seed: the same setting under other seeds
    init_offset: int = initial(
        0, fields.at_least(0)
    )  # the same for one source of chance: initial weights
    order_offset: int = initial(0, fields.at_least(0))  # the order of the data
    noise_offset: int = initial(0, fields.at_least(0))  # augmentation and dropout
    split_offset: int = initial(0, fields.at_least(0))  # which images train, validate and test
    model: str = static('cnn', fields.one_of(MODELS))
    width: int = static(16, fields.at_least(1))
    depth: int = static(2, fields.at_least(1))
    convolutions: int = static(1, fields.at_least(1))  # in a stage
    hidden: int = static(
        0, fields.at_least(0)
    )  # width of a dense layer before the last one; 0: there is none
    norm: str = static('batch', fields.one_of(layers.NORMS))
    activation: str = static('relu', fields.one_of(layers.ACTIVATIONS))
    skip: str = static(
        'none', fields.one_of(layers.SKIPS)
    )  # around a layer whose input and output have one shape
    pooling: str = static('max', fields.one_of(layers.POOLINGS))
    global_pooling: str = static('avg', fields.one_of(layers.GLOBAL_POOLINGS))
    augmentation: str = static(
        'none', fields.one_of(augment.OWN)
    )  # a registered one, beside those with a field above
    loss: str = static('softmax_cross_entropy', fields.one_of(losses.LOSSES))
    optimizer: str = static('momentum', fields.one_of(optim.OPTIMIZERS))
    schedule: str = static('cosine', fields.one_of(optim.SCHEDULES))
    batch_size: int = static(32, fields.at_least(1))


def replace(variant: Variant, overrides: Mapping[str, Any], where: str = '') -> Variant:
    """`variant` with named fields set, each checked.

    InputError with the nearest names for one that does not exist.

    Examples:
      >>> replace(Variant(), dict(pooling='avg', dropout=0.25)).dropout
      0.25
    """
    known = {f.name: f for f in dataclasses.fields(Variant)}
    checked = {}
    for name, value in overrides.items():
        if name not in known:
            raise unknown('field', name, known, where)
        checked[name] = fields.check(
            f'variant.{name}', known[name], Variant.__annotations__[name], value
        )
    return dataclasses.replace(variant, **checked)


def check(variant: Variant) -> Variant:
    """`variant` with every field converted and checked.

    A function, since `__post_init__` would run on tracers.
    """
    return replace(variant, {f.name: getattr(variant, f.name) for f in dataclasses.fields(variant)})


def program_key(variant: Variant, shapes: Hashable) -> Hashable:
    """What decides the compiled program: the structure without the starting values.

    And the shapes it meets.

    Examples:
      >>> plain = Variant()
      >>> program_key(plain, ()) == program_key(replace(plain, dict(dropout=0.5, init='zeros')), ())
      True
      >>> program_key(plain, ()) == program_key(replace(plain, dict(pooling='avg')), ())
      False
    """
    return jax.tree.structure(_started(variant)), shapes


def stack(variants: Sequence[Variant]) -> Variant:
    """Variants of one program as one: every leaf float32 [member].

    The starting values (used by now) at defaults.
    """
    if len({program_key(variant, ()) for variant in variants}) != 1:
        raise ValueError('variants of one program, please: their static fields differ')
    structure = jax.tree.structure(_started(variants[0]))
    leaves = zip(*map(jax.tree.leaves, variants), strict=True)
    return jax.tree.unflatten(structure, [jnp.asarray(values, jnp.float32) for values in leaves])


def _started(variant: Variant) -> Variant:
    defaults = {f.name: f.default for f in dataclasses.fields(variant) if f.metadata.get('initial')}
    return dataclasses.replace(variant, **defaults)
