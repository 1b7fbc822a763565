"""Families of pretrained networks: what they compute, and the names of their tensors."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.models import (
    convnext,
    convnext_names,
    efficientnet,
    efficientnet_names,
    resnet,
    resnet_folded,
    resnet_names,
    vit,
    vit_names,
)
from jaxdl.models.network import FeatureMap, Network, Row
from jaxdl.models.tensor_names import Signature, never_truncated, no_prefix
from jaxdl.workdir.records import Preprocessing

Tensors = Mapping[str, np.ndarray]


class Family(NamedTuple):
    """Functions of a family; `row` is one of its rows.

    Attributes:
      network: the module.
      fold: module, parameters, statistics -> folded layers.
      feature_map: module, folded layers, images -> last feature map.
      first: pattern of the first tensor's name.
      name_of: path of a parameter, row, prefix -> name of its tensor.
      prefix_of: names, row -> what every name in a file begins with.
      is_truncated: name, row -> whether a truncated network lacks this tensor.
      rename: tensors, row -> tensors by the names of `name_of`.
      signature_of: tensors -> their signature; empty where they are of another family.
      expected_signature: row -> signature of its tensors.
    """

    network: type[Network]
    fold: Callable[[Network, Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    feature_map: Callable[[Network, Mapping[str, Any], jax.Array], FeatureMap]
    first: str
    name_of: Callable[..., str]
    prefix_of: Callable[[Iterable[str], Any], str]
    is_truncated: Callable[[str, Any], bool]
    rename: Callable[[Tensors, Any], Tensors]
    signature_of: Callable[[Tensors], Signature]
    expected_signature: Callable[[Any], Signature]


def _family(network: type[Network], computing: Any, names: Any) -> Family:
    """A family of the functions of two modules; a prefix and truncated networks are optional."""
    return Family(
        network,
        computing.fold,
        computing.feature_map,
        names.FIRST,
        names.name_of,
        getattr(names, 'prefix_of', no_prefix),
        getattr(names, 'is_truncated', never_truncated),
        names.rename,
        names.signature_of,
        names.expected_signature,
    )


FAMILIES: dict[str, Family] = {
    'resnet': _family(resnet.ResNet, resnet_folded, resnet_names),
    'efficientnet': _family(efficientnet.EfficientNet, efficientnet, efficientnet_names),
    'convnext': _family(convnext.ConvNeXt, convnext, convnext_names),
    'vit': _family(vit.ViT, vit, vit_names),
}


def family_of(row: Row) -> Family:
    """The family of a row of ARCHITECTURES."""
    return FAMILIES[row.family]


def make_network(
    row: Row, num_classes: int, preprocessing: Preprocessing | None = None, lowering: str = 'auto'
) -> Network:
    """Make the module of a row of ARCHITECTURES.

    Args:
      row: sizes of the network.
      num_classes: number of outputs; 0: features.
      preprocessing: images that the network expects; None: those of the row.
      lowering: a row of `conv.LOWERINGS`, or `auto`.
    """
    prepared = preprocessing or row.preprocessing
    return family_of(row).network(row, num_classes, prepared, lowering)
