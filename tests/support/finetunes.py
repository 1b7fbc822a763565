"""Fine-tuning for tests: a residual network of three narrow blocks, synthetic images."""

import dataclasses

import numpy as np
from tensors import fill

from jaxdl.config.experiment import FineTune
from jaxdl.config.overrides import check
from jaxdl.config.recipe import Probe, Recipe
from jaxdl.data import Data
from jaxdl.models import ARCHITECTURES
from jaxdl.models.architectures import Preprocessing
from jaxdl.train.settings import TrainSettings

NAME, SIDE, CLASSES = 'tiny', 16, 3
TINY = dataclasses.replace(
    ARCHITECTURES['resnet20'],
    name=NAME,
    stages=(1, 1, 1),
    widths=(4, 8, 8),
    preprocessing=Preprocessing(size=12, crop=0.9),
)


# Settings of a fine-tuning of seconds, as on the command line.
SETTINGS = dict(
    epochs=2,
    sizes='[]',
    train_size=12,
    eval_size=12,
    batch_size=8,
    repeats=1,
    passes=2,
    label_folds=0,
    learning_rates='[0.1]',
    weight_decays='[0.01]',
    probe_size=16,
)
OF_PROBE = ('repeats', 'passes', 'label_folds', 'learning_rates', 'weight_decays', 'probe_size')


def flags(folder, **settings):
    """Command line: the data and the weights in `folder`, and these settings."""
    settings = dict(weights=folder / 'weights.npz') | settings
    return [
        f'--dataset=npz:{folder / "images.npz"}',
        *(f'--set={name}={value}' for name, value in settings.items()),
    ]


def weights(folder, architecture=TINY):
    """A file of random weights, by default of TINY, under the names of the CIFAR networks."""
    import jax

    from jaxdl.models.families import make_network
    from jaxdl.models.port import to_tensors

    side = architecture.preprocessing.size
    key, images = jax.random.key(0), jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    network = make_network(architecture, 10)
    shapes = jax.eval_shape(network.init, key, images)
    zeros = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)
    tensors = fill({name: tensor.shape for name, tensor in to_tensors(zeros, architecture).items()})
    path = folder / 'weights.npz'
    np.savez(path, **tensors)
    return path


def images(folder, count=60, seed=0, side=SIDE):
    """An archive of images whose classes are colours, in noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    pixels = rng.integers(0, 120, (count, side, side, 3))
    pixels[np.arange(count), :, :, labels] += 80
    path = folder / 'images.npz'
    np.savez(path, images=pixels.astype(np.uint8), labels=labels)
    return path


def experiment(folder, **settings):
    """A FineTune of all that; settings of the recipe, or `variant`, `probe`, `stages`."""
    fields = {k: settings.pop(k) for k in ('variant', 'probe', 'stages', 'data') if k in settings}
    data = Data(
        dataset=f'npz:{folder / "images.npz"}', fractions=(0.7, 0.3, 0.0), **fields.pop('data', {})
    )
    probe = Probe(
        **dict(
            dict(learning_rates=(0.1,), weight_decays=(0.0,), repeats=1, passes=2, label_folds=0),
            **fields.pop('probe', {}),
        )
    )
    variant = TrainSettings(
        **dict(dict(learning_rate=0.01, batch_size=8), **fields.pop('variant', {}))
    )
    recipe = Recipe(
        **dict(dict(epochs=2, sizes=(), train_size=12, eval_size=12, explain=2), **settings)
    )
    parts: dict = dict(data=data, probe=probe, variant=variant, finetune=recipe)
    return check(FineTune(weights=str(folder / 'weights.npz'), name='finetune', **parts, **fields))
