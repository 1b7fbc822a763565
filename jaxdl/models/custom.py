"""Adapter from a user's network (a Linen class, a function or a pair) to the engine's calls."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
from flax import linen as nn

from jaxdl.errors import InputError, blamed

CALLED = ('train', 'dropout')  # arguments of a call next to the images
PAIR = (
    'a pair: init(key, images, num_classes) -> params, a dict of arrays, '
    'and apply(params, images) -> logits'
)


class Traced(float):
    """Default of a field of a network whose other values run in the same compiled program."""

    limits = (-math.inf, math.inf)


def traced(default: float, low: float = -math.inf, high: float = math.inf) -> Any:
    """Default of a field of a registered network whose other values need no other program.

    Args:
      default: the value where the study sets none.
      low: the least value that the field may have.
      high: the largest one. A search does not leave its range where the field has no limits.

    Returns:
      The default, a float. In a study the network gets a traced number.

    Raises:
      InputError: the default is not from `low` to `high`.

    Examples:
      >>> traced(0.1), traced(0.1, low=0, high=1)
      (0.1, 0.1)
    """
    if not low <= default <= high:
        raise InputError(f'traced({default}, {low}, {high}): must have a default from low to high')
    number = Traced(default)
    number.limits = (low, high)
    return number


@dataclasses.dataclass(frozen=True)
class NetworkFields:
    """Settings that a registered network takes, next to `num_classes`.

    Attributes:
      taken: names of all of them, in the order of the network.
      own: name -> default, of those for which the network has a default of its own.
      traced: names of those whose values may differ within a compiled program.
      limits: name -> least and largest value, of those that have limits.
    """

    taken: tuple[str, ...] = ()
    own: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    traced: tuple[str, ...] = ()
    limits: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


class CustomNetwork(nn.Module):
    """The engine's side of `network`; parameters have the names that the network gives them."""

    label: str
    network: Any
    num_classes: int
    settings: tuple[tuple[str, Any], ...] = ()
    traced: tuple[str, ...] = ()

    @nn.compact
    def __call__(
        self,
        images: jax.Array,
        train: bool = False,
        dropout: jax.Array | float = 0.0,
        numbers: Mapping[str, jax.Array | float] | None = None,
    ) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        `numbers` are values of the fields `traced`; without them the network has its defaults.

        Raises:
          InputError: the network breaks on these images, or gives something else.
        """
        with (
            blamed(f'model {self.label!r} on images {list(images.shape)}'),
            nn.intercept_methods(_skip_dropout),
        ):
            logits = self._call_network(images, dict(train=train, dropout=dropout), numbers or {})
        if getattr(logits, 'shape', None) != (len(images), self.num_classes):
            shape = list(getattr(logits, 'shape', [])) or type(logits).__name__
            right = [len(images), self.num_classes]
            raise InputError(
                f'model {self.label!r} gives {shape}: must be logits [batch, num_classes], '
                f'here {right}'
            )
        return logits

    def _call_network(
        self, images: jax.Array, state: dict[str, Any], numbers: Mapping[str, Any]
    ) -> Any:
        settings = dict(self.settings, num_classes=self.num_classes) | dict(numbers)
        if isinstance(self.network, tuple):
            init, apply = self.network
            return apply(self.param('own', lambda key: init(key, images, self.num_classes)), images)
        if not is_module_class(self.network):
            return self.network(images, **_select_arguments(self.network, settings | state))
        module = self.network(**_select_arguments(self.network, settings))
        nn.share_scope(
            self, module
        )  # so that the parameters are named as they are without this class
        return module(images, **_select_arguments(type(module).__call__, state))


def make_builder(label: str, network: Any, fields: NetworkFields) -> Callable[..., nn.Module]:
    """Make a row of MODELS from a user's network.

    Args:
      label: name of the row.
      network: a Linen class, a function or a pair.
      fields: of the network, by `find_fields`.
    """
    static = [name for name in fields.taken if name not in fields.traced]

    def build(num_classes: int, **settings: Any) -> nn.Module:
        values = tuple((name, settings.get(name, fields.own.get(name))) for name in static)
        return CustomNetwork(label, network, num_classes, values, fields.traced)

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
        for name in ('num_classes', *fields.taken)
    ]
    build.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    build.fields = fields  # type: ignore[attr-defined]
    return build


def is_module_class(network: Any) -> bool:
    """Whether a call makes a Linen module: a class, or a partial of a class."""
    function = network.func if isinstance(network, functools.partial) else network
    return isinstance(function, type) and issubclass(function, nn.Module)


def find_fields(
    label: str, network: Any, setting_names: Collection[str], training_names: Collection[str]
) -> NetworkFields:
    """The settings that a network takes: parameters of a function, or fields of a class.

    Parameters without a default take the setting of their name. Parameters with a default of a
    plain value are settings of the network. What a partial binds is no setting.

    Args:
      label: name of the network.
      network: a Linen class, a function or a pair.
      setting_names: settings of networks that every study has.
      training_names: other settings that every study has.

    Returns:
      The fields.

    Raises:
      InputError: it has none of the three forms, needs a parameter that is no setting, or has a
        field with the name of a setting of the training.
    """
    if isinstance(network, tuple):
        if len(network) != 2 or not all(map(callable, network)):
            raise InputError(f'model {label!r}: must be a Linen class, a function or {PAIR}')
        return NetworkFields()
    if not callable(network) or isinstance(network, nn.Module):
        raise InputError(
            f'model {label!r} is {type(network).__name__}: must be a Linen class, '
            f'a function or {PAIR}'
        )
    is_class = is_module_class(network)
    parameters = inspect.signature(network).parameters
    outside = ('parent', 'name') if is_class else (next(iter(parameters), ''), *CALLED)
    bound = network.keywords if isinstance(network, functools.partial) else ()
    taken, own, traced = list[str](), dict[str, Any](), list[str]()
    limits = dict[str, tuple[float, float]]()
    for name, parameter in parameters.items():
        if name in (*outside, *bound, 'num_classes'):
            continue
        default = parameter.default
        if default is inspect.Parameter.empty:
            if name not in setting_names:
                raise InputError(_needs(label, name, is_class))
        elif name in training_names and not (is_class and name == 'dropout'):
            raise InputError(
                f'model {label!r} has a field {name!r}, which is a setting of the training: '
                f'rename the field, for example to {label}_{name}'
            )
        elif name == 'conv':
            pass
        elif isinstance(default, Traced) or name == 'dropout':
            own[name] = float(default)
            traced.append(name)
            if isinstance(default, Traced) and default.limits != Traced.limits:
                limits[name] = default.limits
        elif _is_plain(default):
            own[name] = default
        elif name not in setting_names:
            continue
        taken.append(name)
    return NetworkFields(tuple(taken), own, tuple(traced), limits)


def _needs(label: str, name: str, is_class: bool) -> str:
    called = '' if is_class else ', train, dropout'
    return (
        f'model {label!r} needs {name!r}, which is no setting: give it a default '
        f'(fields of Variant that are words or whole numbers, num_classes, conv{called} are '
        'settings)'
    )


def _is_plain(value: Any) -> bool:
    """Whether a value can be a setting: a word, a number, true or false, or a tuple of these."""
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_plain, value)) and len({*map(type, value)}) == 1
    return isinstance(value, bool | int | float | str)


def _skip_dropout(
    call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
) -> Any:
    """Make `nn.Dropout` the identity where no noise is given, as in a check of gradients."""
    module = context.module
    if (
        isinstance(module, nn.Dropout)
        and context.method_name == '__call__'
        and not module.has_rng(module.rng_collection)
    ):
        return args[0] if args else kwargs['inputs']
    return call(*args, **kwargs)


def _select_arguments(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that a function has a parameter for."""
    return {
        name: value
        for name, value in values.items()
        if name in inspect.signature(function).parameters
    }
