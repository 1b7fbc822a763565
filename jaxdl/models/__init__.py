"""Networks: one file each, and the table that names them."""

import dataclasses

from flax import linen as nn

from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import MLP

MODELS: dict[str, type[nn.Module]] = {'cnn': CNN, 'mlp': MLP}


def make_module(model: str, num_classes: int, **settings: object) -> nn.Module:
    """The network of a row of MODELS; of `settings` it takes those that it has a field for."""
    kind = MODELS[model]
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(num_classes=num_classes, **{k: v for k, v in settings.items() if k in names})  # type: ignore[call-arg]
