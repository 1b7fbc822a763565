"""Adapter from a user's network (a Linen class, a function or a pair) to the engine's calls."""

import functools
import inspect
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


class CustomNetwork(nn.Module):
    """The engine's side of `network`; parameters have the names that the network gives them."""

    label: str
    network: Any
    num_classes: int
    settings: tuple[tuple[str, Any], ...] = ()

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, dropout: jax.Array | float = 0.0
    ) -> jax.Array:
        """float [batch, height, width, channel], normalised -> logits [batch, num_classes].

        Raises:
          InputError: the network breaks on these images, or gives something else.
        """
        with (
            blamed(f'model {self.label!r} on images {list(images.shape)}'),
            nn.intercept_methods(_skip_dropout),
        ):
            logits = self._call_network(images, dict(train=train, dropout=dropout))
        if getattr(logits, 'shape', None) != (len(images), self.num_classes):
            shape = list(getattr(logits, 'shape', [])) or type(logits).__name__
            right = [len(images), self.num_classes]
            raise InputError(
                f'model {self.label!r} gives {shape}: must be logits [batch, num_classes], '
                f'here {right}'
            )
        return logits

    def _call_network(self, images: jax.Array, state: dict[str, Any]) -> Any:
        settings = dict(self.settings, num_classes=self.num_classes)
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


def make_builder(
    label: str, network: Any, setting_names: Collection[str]
) -> Callable[..., nn.Module]:
    """Make a row of MODELS from a user's network.

    Args:
      label: name of the row.
      network: a Linen class, a function or a pair.
      setting_names: names of the settings that its fields or parameters may have.

    Raises:
      InputError: it has none of the three forms, or needs a parameter that is no setting.
    """
    if isinstance(network, tuple):
        if len(network) != 2 or not all(map(callable, network)):
            raise InputError(f'model {label!r}: must be a Linen class, a function or {PAIR}')
        used_names = []
    else:
        used_names = _find_settings(label, network, setting_names)

    def build(num_classes: int, **settings: Any) -> nn.Module:
        return CustomNetwork(
            label, network, num_classes, tuple((name, settings[name]) for name in used_names)
        )

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
        for name in ('num_classes', *used_names)
    ]
    build.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return build


def is_module_class(network: Any) -> bool:
    """Whether a call makes a Linen module: a class, or a partial of a class."""
    function = network.func if isinstance(network, functools.partial) else network
    return isinstance(function, type) and issubclass(function, nn.Module)


def _find_settings(label: str, network: Any, setting_names: Collection[str]) -> list[str]:
    """The settings that a network takes.

    The parameters of a function or the fields of a class that are in `setting_names`.
    """
    if not callable(network) or isinstance(network, nn.Module):
        raise InputError(
            f'model {label!r} is {type(network).__name__}: must be a Linen class, '
            f'a function or {PAIR}'
        )
    parameters = inspect.signature(network).parameters
    outside = (
        ('parent', 'name') if is_module_class(network) else (next(iter(parameters), ''), *CALLED)
    )
    names = [name for name in parameters if name not in (*outside, 'num_classes')]
    for name in names:
        if name not in setting_names and parameters[name].default is inspect.Parameter.empty:
            called = '' if is_module_class(network) else ', train, dropout'
            raise InputError(
                f'model {label!r} needs {name!r}, which is no setting: give it a default '
                '(fields of Variant that are words or whole numbers, num_classes, '
                f'conv{called} are settings)'
            )
    return [name for name in names if name in setting_names]


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
