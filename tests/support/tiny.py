"""Finished run without training: a random network of three classes and images for it."""

import functools

import jax
import numpy as np
from PIL import Image

from jaxdl.inference import model_file
from jaxdl.models import ARCHITECTURES
from jaxdl.models.resnet import ResNet
from jaxdl.workdir.records import ModelCard, as_json

CLASSES = ('apple', 'corn, boiled', 'tea')
SIDE = 32
ROW = ARCHITECTURES['resnet20']
MODULE = ResNet(ROW, len(CLASSES), ROW.preprocessing)


@functools.cache
def variables(seed=0):
    """Random values, so that all classes and channels differ; NumPy draws without compiling."""
    rng = np.random.default_rng(seed)

    def drawn(path, leaf):
        if path[-1].key in ('scale', 'var'):
            return rng.uniform(0.5, 1, leaf.shape).astype(np.float32)
        spread = np.sqrt(2 / np.prod(leaf.shape[:-1])) if path[-1].key == 'kernel' else 0.2
        return (rng.standard_normal(leaf.shape) * spread).astype(np.float32)

    return jax.tree_util.tree_map_with_path(drawn, shapes())


@functools.cache
def shapes():
    return jax.eval_shape(
        MODULE.init, jax.random.key(0), jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), np.float32)
    )


def card(**changes):
    """Model card; images are decoded at the side that the network sees."""
    settings = dict(
        architecture='resnet20',
        num_classes=len(CLASSES),
        class_names=CLASSES,
        decoded_size=SIDE,
        eval_size=SIDE,
        preprocessing=ROW.preprocessing,
        views='flip',
        temperature=1.5,
        adjustment=(),
        experiment='tiny',
        scores=dict(accuracy=0.5),
    )
    return ModelCard(**settings | changes)


def metadata(**changes):
    """JSON values of the card, with some changed."""
    return as_json(card()) | changes


def workdir(path, members=1, **changes):
    """Writes the final checkpoint of so many networks to `path`, which it returns."""
    model_file.save(path, [variables(seed) for seed in range(members)], card(**changes))
    return path


def images(count=5, height=SIDE, width=SIDE, seed=0):
    """Smooth random pictures that differ, uint8 [count, height, width, 3]."""
    small = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(pixels).resize((width, height))) for pixels in small]
    )


def files(folder, pictures, names=None):
    """Writes pictures as PNG, without loss, into a folder; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / (names[i] if names else f'{i}.png') for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    return paths
