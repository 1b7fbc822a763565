"""A digit classifier that slides over a scene as one convolutional network, or by windows."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl import ensemble
from jaxdl.data import Data, load, split
from jaxdl.data.on_device import place_on_device
from jaxdl.data.preprocess import normalize, to_float
from jaxdl.ensemble import Member, Workload
from jaxdl.theory.answer import Note
from jaxdl.train import train_step
from jaxdl.train.variant import Variant
from jaxdl.workdir.records import GroupRecord

Sides = tuple[int, int]
ToKernel = Callable[[np.ndarray, Sides], np.ndarray]
Weights = Mapping[str, tuple[np.ndarray, np.ndarray]]  # layer -> its weights and its bias
VARIANT = Variant(
    model='cnn',
    width=16,
    depth=1,
    hidden=24,
    norm='none',
    pooling='max',
    global_pooling='flatten',
    learning_rate=0.01,
)
DIGIT, FRAME, SIDE, STEP = (
    8,
    1,
    64,
    2,
)  # pixels: a digit, the frame around it, the scene, from window to window
WINDOW = DIGIT + 2 * FRAME
POOLED = DIGIT // 2  # pixels that the convolution and the pooling leave of a window


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained network, its weights in float64, and the normalised test images: [n, 8, 8, 1].

    Normalised.

    Args:
      logits: of the module that trained, on the test images, float64 [n, class].
      labels: of the test images.
    """

    weights: Weights
    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray

    @property
    def accuracy(self) -> float:
        """On the test images."""
        return float(np.mean(self.logits.argmax(1) == self.labels))


@dataclasses.dataclass(frozen=True)
class Scene:
    """A canvas of the mean grey, float64 [64, 64], with digits on it.

    Args:
      chosen: which of the test images, int [digit].
      places: row and column of their windows in the map of scores, int [digit, 2].
    """

    canvas: np.ndarray
    chosen: np.ndarray
    places: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class SlidingOutputs:
    """Outputs of the classifier on the scene as one network, and by windows.

    Args:
      map: probability of each class, [row, column, class].
      scores: of the fully convolutional network on the scene, [row, column, class].
      windows: of the classifier on each window cut out of the scene, [row, column, class].
      alone: of the fully convolutional network on each test image in its frame, [n, class].
      operations: additions, multiplications and comparisons that XLA counts: on the scene, on all
        windows.
    """

    map: np.ndarray
    scores: np.ndarray
    windows: np.ndarray
    alone: np.ndarray
    operations: tuple[float, float]


def train(seed: int, epochs: int, note: Note) -> tuple[Classifier, list[GroupRecord]]:
    """Train a convolution, a pooling and two dense layers on digits, by the ensemble engine.

    Args:
      seed: of the initial values and the batches.
      epochs: number of epochs.
      note: writes an event to the journal.

    Returns:
      The classifier, and the entries of its groups in run.json.
    """
    dataset = load(Data(dataset='digits'))
    parts = split(dataset, Data(dataset='digits'))
    data = place_on_device(dataset, [parts])
    classes = len(dataset.class_names)
    (trained,), groups = ensemble.train_members(
        [Member('classifier', seed, VARIANT)], Workload(data, classes, epochs), note=note
    )
    images = normalize(to_float(dataset.images[parts.test]), data.mean[0], data.std[0])
    labels, params = dataset.labels[parts.test], trained.state.params
    return classifier_of(params, np.asarray(images, np.float64), labels, classes), groups


def classifier_of(params: Any, images: np.ndarray, labels: np.ndarray, classes: int) -> Classifier:
    """The network of VARIANT with these parameters, and its predictions for images.

    Args:
      params: of the trained network.
      images: normalised, [n, 8, 8, 1].
      labels: int [n].
      classes: number of classes.

    Returns:
      The classifier.
    """
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        module = train_step.module_of(VARIANT, classes, conv='grouped')
        logits = np.asarray(jax.jit(module.apply)(dict(params=params), images))
    weights = dict(
        conv=(params['stage_0']['conv']['kernel'], params['stage_0']['norm']['bias'].ravel()),
        hidden=(params['hidden']['kernel'], params['hidden']['bias']),
        head=(params['head']['kernel'], params['head']['bias']),
    )
    return Classifier(weights, images, labels, logits)


def scene_of(classifier: Classifier, digits: int, seed: int) -> Scene:
    """Test images at random places; no digit reaches into the window of another."""
    random = np.random.default_rng([seed, *b'scene'])
    positions = (SIDE - WINDOW) // STEP + 1
    places: list[tuple[int, int]] = []
    for place in random.permutation([*np.ndindex(positions, positions)]):
        free = all(max(abs(place - np.array(other))) * STEP >= DIGIT + FRAME for other in places)
        if free and len(places) < digits:
            places.append((int(place[0]), int(place[1])))
    chosen = random.choice(len(classifier.images), len(places), replace=False)
    canvas = np.zeros(
        (SIDE, SIDE)
    )  # the mean of the training images, which is 0 once they are normalised
    for (row, column), image in zip(places, classifier.images[chosen], strict=True):
        top, left = STEP * row + FRAME, STEP * column + FRAME
        canvas[top : top + DIGIT, left : left + DIGIT] = image[..., 0]
    return Scene(canvas, chosen, np.array(places), classifier.labels[chosen])


def slide(classifier: Classifier, scene: Scene, kernel_of_dense: ToKernel) -> SlidingOutputs:
    """Both ways in float64.

    `kernel_of_dense`: how the weights of dense layers become those of convolutions.
    """
    kernels = to_filters(classifier.weights, kernel_of_dense)
    canvas, cut = scene.canvas[None, ..., None], windows_of(scene.canvas)
    framed = np.pad(classifier.images, ((0, 0), (FRAME, FRAME), (FRAME, FRAME), (0, 0)))
    with jax.enable_x64(True):
        scores = np.asarray(convolutional(kernels, canvas))[0]
        by_windows = np.asarray(dense(classifier.weights, cut)).reshape(scores.shape)
        alone = np.asarray(convolutional(kernels, framed))[:, 0, 0]
        shares = np.asarray(jax.nn.softmax(scores))
        one, other = convolutional.lower(kernels, canvas), dense.lower(classifier.weights, cut)
        operations = _operations(one), _operations(other)
    return SlidingOutputs(shares, scores, by_windows, alone, operations)


def to_filters(weights: Weights, kernel_of_dense: ToKernel) -> Weights:
    """The weights of the dense layers as filters: the first as large as its map.

    The second 1 x 1.
    """
    sides = dict(hidden=(POOLED, POOLED), head=(1, 1))
    dense = {
        name: (kernel_of_dense(weights[name][0], size), weights[name][1])
        for name, size in sides.items()
    }
    return {**weights, **dense}


def windows_of(canvas: np.ndarray) -> np.ndarray:
    """Every window of the scene, row by row: [window, 10, 10, 1]."""
    every = np.lib.stride_tricks.sliding_window_view(canvas, (WINDOW, WINDOW))[::STEP, ::STEP]
    return every.reshape(-1, WINDOW, WINDOW, 1)


@jax.jit
def convolutional(kernels: Weights, images: jax.Array) -> jax.Array:
    """Scores [n, row, column, class] of images [n, height, width, 1] of any size.

    All layers convolve.
    """
    hidden = jax.nn.relu(_conv(_features(kernels, images), *kernels['hidden']))
    return _conv(hidden, *kernels['head'])


@jax.jit
def dense(weights: Weights, windows: jax.Array) -> jax.Array:
    """Scores [n, class] of windows [n, 10, 10, 1], with two dense layers as in training."""
    features = _features(weights, windows).reshape(len(windows), -1)
    hidden = jax.nn.relu(features @ weights['hidden'][0] + weights['hidden'][1][None])
    return hidden @ weights['head'][0] + weights['head'][1][None]


def _features(weights: Weights, images: jax.Array) -> jax.Array:
    """Convolution without padding, ReLU, 2 x 2 max pooling."""
    images = jax.nn.relu(_conv(images, *weights['conv']))
    return lax.reduce_window(images, -jnp.inf, lax.max, (1, 2, 2, 1), (1, STEP, STEP, 1), 'VALID')


def _conv(images: Any, kernel: Any, bias: Any) -> jax.Array:
    numbers = ('NHWC', 'HWIO', 'NHWC')
    return (
        lax.conv_general_dilated(images, kernel, (1, 1), 'VALID', dimension_numbers=numbers)
        + bias[None, None, None]
    )


def _operations(lowered: Any) -> float:
    return float(lowered.cost_analysis()['flops'])


def seconds(
    classifier: Classifier, scene: Scene, kernel_of_dense: ToKernel, rounds: int
) -> dict[str, float]:
    """Medians of three ways, by turns, in float32: the whole, all windows at once, one by one.

    Cutting is not timed.
    """
    kernels, single = (
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), dict(weights))
        for weights in (to_filters(classifier.weights, kernel_of_dense), classifier.weights)
    )
    canvas = jnp.asarray(scene.canvas[None, ..., None], jnp.float32)
    cut = jnp.asarray(windows_of(scene.canvas), jnp.float32)
    single_windows = [cut[i : i + 1] for i in range(len(cut))]
    ways = dict(
        whole=functools.partial(convolutional, kernels, canvas),
        windows=functools.partial(dense, single, cut),
        one_by_one=lambda: [dense(single, window) for window in single_windows],
    )
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):  # the first compiles
        for name, way in ways.items():
            began = time.perf_counter()
            jax.block_until_ready(way())
            taken[name].append(time.perf_counter() - began)
    return {name: float(np.median(values[1:])) for name, values in taken.items()}
