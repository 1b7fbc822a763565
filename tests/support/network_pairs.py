"""Random weights and batch statistics for tests of the port, in PyTorch and in jaxdl."""

import functools

import jax
import numpy as np
import torch
import torch_references as references
from tensors import fill

from jaxdl.models import ARCHITECTURES
from jaxdl.models.families import make_network
from jaxdl.models.port import to_tensors, to_variables


def module_of(name, num_classes=10, lowering='auto'):
    return make_network(ARCHITECTURES[name], num_classes, lowering=lowering)


def shapes_of(name, num_classes=10):
    """The shapes of the tensors by their names in a file, from the module itself."""
    module, key = module_of(name, num_classes), jax.random.key(0)
    side = module.preprocessing.size
    images = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    shapes = jax.eval_shape(module.init, key, images)
    zeros = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)
    return {name: tensor.shape for name, tensor in to_tensors(zeros, ARCHITECTURES[name]).items()}


def torch_network(name):
    """PyTorch network of 10 classes in evaluation; Gluon's architectures without weights yet."""
    if ARCHITECTURES[name].names == 'cifar':
        return references.Cifar(int(name.removeprefix('resnet'))).eval()
    # timm gives transformers one size of images unless it is told otherwise
    options = dict(dynamic_img_size=True) if ARCHITECTURES[name].multiple > 1 else {}
    with torch.device('meta'):  # the values come with the tensors
        return references.timm().create_model(name, num_classes=10, **options).eval()


def load(network, tensors):
    """Puts the tensors in; PyTorch counts batches where nothing is given for them."""
    counts = {k: torch.tensor(0) for k in network.state_dict() if k.endswith('num_batches_tracked')}
    network.load_state_dict(
        {k: torch.tensor(v) for k, v in tensors.items()} | counts, strict=True, assign=True
    )
    return network


@functools.lru_cache(maxsize=4)  # all of them would hold 5 GB
def pair(name):
    """PyTorch network (images [n, channel, ...] -> logits) and our variables of the same values."""
    row = ARCHITECTURES[name]
    if row.names == 'gluon':
        tensors = fill(shapes_of(name, 0 if row.truncated else 10))
        last = 'stage4_batchnorm0' if row.truncated else 'batchnorm2'
        network = references.Gluon(tensors, row.stages, last, not row.truncated)
    else:
        network = torch_network(name)
        tensors = fill(
            {k: v.shape for k, v in network.state_dict().items() if 'num_batches' not in k}
        )
        for key in tensors:  # the sums of dozens of inverted residuals would grow without bound
            inverted = key.startswith('blocks.') and key.endswith('.bn3.weight')
            tensors[key] *= np.float32(0.3 if inverted else 1)
        load(network, tensors)
    return network, tensors, to_variables(tensors, row)


def images_of(size, count=2, multiple=1):
    """Normalised images, a little wider than high; sides are rounded up to multiples."""
    sides = [-(-side // multiple) * multiple for side in (size, size + 6)]
    return np.random.default_rng(size).normal(size=(count, *sides, 3)).astype(np.float32)


def to_torch(images):
    return torch.tensor(images.transpose(0, 3, 1, 2))
