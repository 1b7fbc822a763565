"""Parity of every architecture with PyTorch: measure it, write the table of docs/port.md.

Run    PYTHONPATH=. python tests/support/parity.py [ARCHITECTURE ...]
Takes  half an hour for all rows on 2 CPU cores
"""

import math
import pathlib
import re
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from network_pairs import images_of, load, module_of, pair, to_torch, torch_network

from jaxdl.models import ARCHITECTURES
from jaxdl.models.port import to_tensors

PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'port.md'
BEGIN, END = '<!-- parity -->\n\n', '\n<!-- end -->'
HEADING = '| Architecture | Images | Logits | Gradients |\n| --- | --- | --- | --- |\n'
SIZES = (49, 129)  # height in pixels; the width is 6 more
# Rows whose gradients and running statistics in training are compared, at least one per family.
GRADIENTS = (
    *('resnet18', 'tf_efficientnet_lite0', 'mobilenetv3_small_100'),
    *('convnext_atto', 'convnextv2_atto', 'vit_tiny_patch16_224'),
)


class Bounds(NamedTuple):
    """A row of the table: differences that are not exceeded.

    Attributes:
      images: sizes of the images.
      logits: largest difference over the range of the logits, of all sizes, float32.
      gradients: largest difference of gradients and running statistics in training over the largest
        value of the tensor, float64; None where they are not compared.
    """

    images: str
    logits: float
    gradients: float | None


def inputs(name, size, count):
    """Normalised images for an architecture; their sides are multiples of its patch."""
    return images_of(size, count, ARCHITECTURES[name].multiple)


def measure_logits(name):
    """Sizes of the images, and the difference of the logits; operation by operation.

    Most operations have the same shapes in several networks, so they are compiled once.
    """
    (network, _, variables), sizes, worst = pair(name), [], 0.0
    module = module_of(name, 0 if ARCHITECTURES[name].truncated else 10)
    for size in SIZES:
        images = inputs(name, size, 2 if size == min(SIZES) else 1)
        with torch.no_grad():
            expected = network(to_torch(images)).numpy()
        logits = np.asarray(module.apply(variables, images))
        assert logits.shape == expected.shape
        worst = max(worst, float(np.abs(logits - expected).max() / np.ptp(expected)))
        sizes.append('{} x {}'.format(*images.shape[1:3]))
    return ', '.join(sizes), worst


def measure_gradients(name):
    """The difference of gradients and running statistics in training, float64.

    In float32 rounding, which norms over few pixels amplify from block to block, would hide it.
    """
    (_, tensors, variables), labels = pair(name), np.arange(3)
    images = inputs(name, min(SIZES), 3).astype(np.float64)
    with jax.enable_x64(True):
        variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, np.float64), variables)
        module = module_of(name, lowering='grouped')
        _, actual = gradients_of_ours(module, variables, images, labels, True)
    _, wanted = gradients_of_torch(name, tensors, images, labels, True, torch.float64)
    return largest_difference(actual, wanted)


def largest_difference(actual, wanted):
    """Largest difference of tensors by name, over the largest value of the tensor."""
    assert actual.keys() == wanted.keys()
    # A bias before a convolution and a norm has a gradient of 0 but for rounding.
    least = 1e-4 * max(np.abs(value).max() for value in wanted.values())
    differences = (
        np.abs(actual[name] - value).max() / max(least, np.abs(value).max())
        for name, value in wanted.items()
    )
    return float(max(differences))


def gradients_of_torch(name, tensors, images, labels, train, dtype):
    """Loss, gradients and running statistics by name after one forward and backward pass."""
    network = load(torch_network(name), tensors)  # one of its own: training changes its buffers
    network.to(dtype).train(train)
    loss = torch.nn.functional.cross_entropy(
        network(to_torch(images).to(dtype)), torch.tensor(labels)
    )
    loss.backward()
    gradients = {k: v.grad.numpy() for k, v in network.named_parameters()}
    return loss.item(), gradients | {
        k: v.numpy() for k, v in network.named_buffers() if 'num_batches' not in k
    }


def gradients_of_ours(module, variables, images, labels, train):
    """The same, by the names of the tensors."""

    def loss(params):
        logits, changed = module.apply(
            {**variables, 'params': params}, images, train, mutable=['batch_stats']
        )
        loss = -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels].mean()
        return loss, changed.get('batch_stats', variables['batch_stats'])

    differentiate = jax.jit(
        jax.value_and_grad(loss, has_aux=True),
        compiler_options={'xla_backend_optimization_level': 0},  # compiles in half the time
    )
    (value, statistics), gradients = differentiate(variables['params'])
    tensors = to_tensors({'params': gradients, 'batch_stats': statistics}, module.architecture)
    return float(value), tensors


def read_table(text):
    """Bounds by architecture, of the text of the page."""
    _, table = text.split(BEGIN)
    rows = re.findall(
        r'^\| `(\w+)` \| (.+?) \| (\S+) \| (\S*) *\|$', table.split(END)[0], re.MULTILINE
    )
    return {
        name: Bounds(images, float(logits), float(gradients) if gradients else None)
        for name, images, logits, gradients in rows
    }


def write_table(text, bounds):
    """The text of the page with these bounds, in the order of ARCHITECTURES."""
    before, table = text.split(BEGIN)
    rows = [
        f'| `{name}` | {row.images} | {row.logits:.0e} | '
        f'{"" if row.gradients is None else f"{row.gradients:.0e} "}|\n'
        for name in ARCHITECTURES
        if (row := bounds.get(name))
    ]
    return before + BEGIN + HEADING + ''.join(rows) + END + table.split(END, 1)[1]


def bound(difference):
    """The smallest of 1, 2 and 5 times a power of 10 that is five times a difference or more.

    Rounding differs from processor to processor.
    """
    power = 10.0 ** math.floor(math.log10(5 * difference))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 5 * difference)


def main(names):
    names = names or list(ARCHITECTURES)
    for name in names:
        images, difference = measure_logits(name)
        _write(name, images=images, logits=bound(difference))
    for name in filter(GRADIENTS.__contains__, names):
        _write(name, gradients=bound(measure_gradients(name)))


def _write(name, **bounds):
    """Put bounds of an architecture into the page at once: an interrupted run keeps its rows."""
    print(name, bounds, flush=True)
    text = PAGE.read_text(encoding='utf-8')
    table = read_table(text)
    table[name] = table.get(name, Bounds('', 0.0, None))._replace(**bounds)
    PAGE.write_text(write_table(text, table), encoding='utf-8')


if __name__ == '__main__':
    main(sys.argv[1:])
