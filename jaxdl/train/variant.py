"""All settings of one training run of a new network, and how variants share programs."""

import dataclasses
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdl import fields
from jaxdl.errors import InputError, unknown
from jaxdl.models import MODELS, layers, taken_settings
from jaxdl.train.settings import StepSettings, initial, leaf, own_strengths, static


@struct.dataclass
class Variant(StepSettings):
    """All settings of one training run.

    A network takes the fields that it names (`models.taken_settings`). A registered network may
    have fields of its own: `variant_class` has them in addition.
    """

    init: str = initial('he_normal', fields.one_of(layers.INITS))
    init_scale: float = initial(1.0, fields.at_least(0))
    # in place of `init`: a file of weights, or WORKDIR:OPTION:SEED of a stored network
    init_from: str = initial('', lambda _: None)
    # multiplies this option's grid of learning rates
    learning_rate_scale: float = initial(1.0, fields.above(0))
    # added to the seed: the same setting under other seeds
    seed_offset: int = initial(0, fields.at_least(0))
    # the same for one source of chance: initial weights
    init_offset: int = initial(0, fields.at_least(0))
    order_offset: int = initial(0, fields.at_least(0))  # the order of the data
    noise_offset: int = initial(0, fields.at_least(0))  # augmentation and dropout
    split_offset: int = initial(0, fields.at_least(0))  # which images train, validate and test
    model: str = static('cnn', fields.one_of(MODELS))
    width: int = static(16, fields.at_least(1))
    depth: int = static(2, fields.at_least(1))
    convolutions: int = static(1, fields.at_least(1))  # in a stage
    # width of a dense layer before the last one; 0: there is none
    hidden: int = static(0, fields.at_least(0))
    norm: str = static('batch', fields.one_of(layers.NORMS))
    activation: str = static('relu', fields.one_of(layers.ACTIVATIONS))
    # around a layer whose input and output have one shape
    skip: str = static('none', fields.one_of(layers.SKIPS))
    pooling: str = static('max', fields.one_of(layers.POOLINGS))
    global_pooling: str = static('avg', fields.one_of(layers.GLOBAL_POOLINGS))


# Fields of networks, whatever the network; a network need not take all of them.
NETWORK = tuple(
    f.name
    for f in dataclasses.fields(Variant)
    if not f.metadata.get('pytree_node', True)
    and not f.metadata.get('initial')
    and f.name not in ('model', *(field.name for field in dataclasses.fields(StepSettings)))
)
CLASSES: dict[str, type[Variant]] = {}  # registered network -> class with its own fields


def variant_class(model: str) -> type[Variant]:
    """The class of the variants of a network: Variant, or one with the network's own fields."""
    return CLASSES.get(model, Variant) if isinstance(model, str) else Variant


def define_class(
    model: str,
    defaults: Mapping[str, Any],
    traced: Collection[str],
    limits: Mapping[str, tuple[float, float]],
) -> type[Variant]:
    """Define the class of the variants of a registered network.

    Args:
      model: name of the network.
      defaults: field -> default; a field of Variant of this name gets this default.
      traced: names of the fields whose other values run in the same program.
      limits: field -> least and largest value.

    Returns:
      A subclass of Variant, which `variant_class` returns from then on.
    """
    common = {f.name: f for f in dataclasses.fields(Variant)}
    content: dict[str, Any] = dict(__annotations__={}, __doc__=f'Settings of a run of {model!r}.')
    for name, default in defaults.items():
        content['__annotations__'][name] = _annotation(default)
        rule = fields.finite
        if name in common:
            rule = common[name].metadata['rule']
        elif name in limits:
            rule = fields.between(*limits[name])
        content[name] = (leaf if name in traced else static)(default, rule)
    CLASSES[model] = struct.dataclass(type('Variant', (Variant,), content))
    return CLASSES[model]


def _annotation(default: Any) -> Any:
    if isinstance(default, tuple):
        return tuple[type(default[0]), ...]
    return type(default)


def with_own_fields(variant: Variant) -> Variant:
    """The variant in the class of its network; fields at their default take the new default."""
    target = variant_class(variant.model)
    if type(variant) is target:
        return variant
    names = {f.name for f in dataclasses.fields(target)}
    values = {
        f.name: getattr(variant, f.name)
        for f in dataclasses.fields(variant)
        if f.name in names and getattr(variant, f.name) != f.default
    }
    return target(**values)


def untaken(variant: Variant) -> list[str]:
    """Fields of networks that the network of a variant does not take."""
    taken = taken_settings(variant.model)
    return [name for name in NETWORK if name not in taken]


def identity(variant: Variant) -> Hashable:
    """All settings that reach the training: equal for variants that are the same run."""
    unused = untaken(variant)
    values = ((f.name, getattr(variant, f.name)) for f in dataclasses.fields(variant))
    return tuple((name, value) for name, value in values if name not in unused)


def replace(variant: Variant, overrides: Mapping[str, Any], where: str = '') -> Variant:
    """A variant with some fields set and checked.

    Args:
      variant: the variant to start from.
      overrides: field -> value.
      where: words for an error message, such as " in option 'avg'".

    Raises:
      InputError: a field does not exist, or its value is not allowed.

    Examples:
      >>> replace(Variant(), dict(pooling='avg', dropout=0.25)).dropout
      0.25
    """
    model = overrides.get('model', variant.model)
    if isinstance(model, str) and model in MODELS:
        variant = with_own_fields(dataclasses.replace(variant, model=model))
    fields_by_name = {f.name: f for f in dataclasses.fields(variant)}
    checked = {}
    for name, value in overrides.items():
        owner = next((m for m, kind in CLASSES.items() if name in kind.__dataclass_fields__), '')
        if name not in fields_by_name and owner:
            raise InputError(
                f'unknown field {name!r}{where}: is a field of the network {owner!r}, and the '
                f'network here is {model!r}'
            )
        if name not in fields_by_name:
            raise unknown('field', name, fields_by_name, where)
        checked[name] = fields.check(
            f'variant.{name}', fields_by_name[name], fields_by_name[name].type, value
        )
    variant = dataclasses.replace(variant, **checked)
    try:
        own_strengths(variant)
    except InputError as error:
        raise InputError(f'{error}{where}') from None
    if variant.init_from and (variant.init, variant.init_scale) != (Variant.init, 1.0):
        raise InputError(
            f'variant.init_from={variant.init_from}{where}: gives all initial weights: leave out '
            'init and init_scale'
        )
    if variant.batch_size % variant.accumulation:
        raise InputError(
            f'variant.accumulation={variant.accumulation}{where}: must divide '
            f'batch_size={variant.batch_size}'
        )
    return variant


def program_key(variant: Variant, shapes: Hashable) -> Hashable:
    """Key of the compiled program of a variant: variants with equal keys share a program.

    Args:
      variant: its tree structure, without initial values, is part of the key.
      shapes: shapes of the data, or whatever decides them.

    Examples:
      >>> plain = Variant()
      >>> program_key(plain, ()) == program_key(replace(plain, dict(dropout=0.5, init='zeros')), ())
      True
      >>> program_key(plain, ()) == program_key(replace(plain, dict(pooling='avg')), ())
      False
    """
    return jax.tree.structure(_without_initial(variant)), shapes


def stack(variants: Sequence[Variant]) -> Variant:
    """Variants of one program as one, every leaf float32 [member].

    Initial values, which the host has used by then, are at their defaults.

    Raises:
      ValueError: the variants need different programs.
    """
    if len({program_key(variant, ()) for variant in variants}) != 1:
        raise ValueError('variants of one program cannot be stacked: their static fields differ')
    structure = jax.tree.structure(_without_initial(variants[0]))
    leaves = zip(*map(jax.tree.leaves, variants), strict=True)
    return jax.tree.unflatten(structure, [jnp.asarray(values, jnp.float32) for values in leaves])


def _without_initial(variant: Variant) -> Variant:
    defaults = {f.name: f.default for f in dataclasses.fields(variant) if f.metadata.get('initial')}
    return dataclasses.replace(variant, **defaults)
