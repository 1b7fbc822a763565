"""Networks: small ones to train, pretrained families, and weights: reading, recognising, porting.

May import native, runtime and everything below. Interface: the names below, `layers`, `pooling`,
`conv`, `resnet`, `folded`, `port`, `weights`.
"""

import inspect
from collections.abc import Callable

from flax import linen as nn

from jaxdl.models.architectures import ARCHITECTURES as ARCHITECTURES
from jaxdl.models.cnn import CNN
from jaxdl.models.linear import Linear
from jaxdl.models.mlp import MLP
from jaxdl.models.port import load_pretrained as load_pretrained

MODELS: dict[str, Callable[..., nn.Module]] = {'cnn': CNN, 'mlp': MLP, 'linear': Linear}


def taken_settings(model: str) -> tuple[str, ...]:
    """Names of the settings that the network of a row of MODELS takes.

    Args:
      model: a row of MODELS.

    Examples:
      >>> taken_settings('mlp')
      ('width', 'depth', 'norm', 'activation', 'skip')
    """
    names = inspect.signature(MODELS[model]).parameters
    return tuple(name for name in names if name not in ('num_classes', 'conv', 'parent', 'name'))


def make_module(model: str, num_classes: int, **settings: object) -> nn.Module:
    """Make the network of a row of MODELS.

    Args:
      model: a row of MODELS.
      num_classes: number of outputs.
      **settings: values for the network's fields or parameters; others are ignored.

    Returns:
      A Linen module: float [batch, height, width, channel], normalised -> logits [batch, classes].

    Examples:
      >>> make_module('cnn', 10, pooling='avg', width=8).pooling
      'avg'
    """
    kind = MODELS[model]
    names = inspect.signature(kind).parameters
    return kind(num_classes=num_classes, **{k: v for k, v in settings.items() if k in names})
