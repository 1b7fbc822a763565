"""Checks of dense layers against convolutions with equal weights, in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax import lax

from jaxdl.report.page import words
from jaxdl.workdir import claims
from jaxdl.workdir.claims import Claim

Sides = tuple[int, int]
ToKernel = Callable[[np.ndarray, Sides], np.ndarray]
# what rounding may add in float64: sums of some hundred terms of size 1, in another order
EXACT = 1e-12
BATCH = 5
MAPS = (((8, 8, 1), 10), ((7, 5, 3), 4), ((4, 6, 16), 12))  # (height, width, channel), units
# size of the map, shape of the kernel, stride, padding
CONVOLUTIONS = (
    ((6, 7), (3, 3, 2, 3), 1, 0),
    ((8, 5), (3, 2, 3, 4), 2, 1),
    ((9, 9), (5, 5, 1, 2), 3, 2),
)
ENTRIES = dict(entries='entries', kept='non-zero entries', distinct='distinct non-zero values')


def dense_as_convolution(seed: int, kernel_of_dense: ToKernel) -> Iterator[Claim]:
    """Claims: a dense layer on a J x K x C feature map is a convolution with J x K filters."""
    errors = []
    for number, (shape, units) in enumerate(MAPS):
        images, weights, bias, gradient = _draw(
            seed, number, (BATCH, *shape), units, (BATCH, units)
        )
        dense = _differentiate(nn.Dense(units), images.reshape(BATCH, -1), weights, bias, gradient)
        kernel = kernel_of_dense(weights, shape[:2])
        conv = nn.Conv(units, shape[:2], padding='VALID')
        carried = _differentiate(conv, images, kernel, bias, gradient[:, None, None])
        dense[2] = kernel_of_dense(
            dense[2], shape[:2]
        )  # a gradient is carried over as the weights are
        errors.append(
            [_largest_difference(one, other) for one, other in zip(dense, carried, strict=True)]
        )
    maps = 'dense layers on a feature map and convolutions with filters of its size'
    yield from _on_four(maps, errors)


def dense_at_each_pixel(seed: int, kernel_of_dense: ToKernel) -> Iterator[Claim]:
    """Claims: a 1 x 1 convolution is a dense layer on the channels of each pixel."""
    errors = []
    for number, (shape, units) in enumerate(MAPS):
        images, _, bias, gradient = _draw(
            seed, number, (BATCH, *shape), units, (BATCH, *shape[:2], units)
        )
        weights = np.random.default_rng([seed, number, *b'pixel']).normal(size=(shape[2], units))
        dense = _differentiate(
            nn.Dense(units),
            images.reshape(-1, shape[2]),
            weights,
            bias,
            gradient.reshape(-1, units),
        )
        conv = nn.Conv(units, (1, 1))
        carried = _differentiate(conv, images, kernel_of_dense(weights, (1, 1)), bias, gradient)
        dense[2] = kernel_of_dense(dense[2], (1, 1))
        errors.append(
            [_largest_difference(one, other) for one, other in zip(dense, carried, strict=True)]
        )
    yield from _on_four('dense layers at each pixel and 1 x 1 convolutions', errors)


def convolution_as_dense(
    seed: int,
    dense_of_kernel: Callable[..., np.ndarray],
    connections: Callable[..., tuple[int, int, int]],
) -> Iterator[Claim]:
    """Claims: a convolution is a dense layer with mostly zero and otherwise shared weights."""
    errors, counts = [], []
    for number, (size, shape, stride, padding) in enumerate(CONVOLUTIONS):
        errors.append(_as_dense(seed, number, dense_of_kernel))
        jacobian = _jacobian(_kernel(seed, number), size, stride, padding)
        values = jacobian[np.abs(jacobian) > EXACT]
        counted = (jacobian.size, values.size, len(np.unique(values.round(9))))
        counts.append((connections(shape, size, stride, padding), counted))
    names = (
        'outputs',
        'gradients w.r.t. input',
        'gradients w.r.t. kernel, matrix gradients summed over shared entries',
    )
    for name, error in zip(names, np.max(errors, axis=0), strict=True):
        yield claims.close(
            f'Convolutions and their dense matrices: largest difference of {name}', 0, error, EXACT
        )
    (entries, non_zero, distinct), (all_counted, non_zero_counted, distinct_counted) = np.sum(
        counts, axis=0
    )
    pairs = ((entries, all_counted), (non_zero, non_zero_counted), (distinct, distinct_counted))
    for name, (expected, measured) in zip(ENTRIES.values(), pairs, strict=True):
        yield claims.close(
            f'Jacobians of the {len(counts)} convolutions, number of: {name}', expected, measured, 0
        )


def _as_dense(seed: int, number: int, dense_of_kernel: Callable[..., np.ndarray]) -> list[float]:
    """Largest differences of outputs and of gradients w.r.t. input and kernel."""
    size, shape, stride, padding = CONVOLUTIONS[number]
    random = np.random.default_rng([seed, number, *b'converse'])
    kernel, images = _kernel(seed, number), random.normal(size=(BATCH, *size, shape[2]))
    with jax.enable_x64(True):
        outputs = np.asarray(_conv(images, kernel, stride, padding))
        gradient = random.normal(size=outputs.shape)
        _, by_images, by_kernel = _pull_back(
            lambda x, w: _conv(x, w, stride, padding), (images, kernel), gradient
        )
    matrix = dense_of_kernel(kernel, size, stride, padding)
    rows, flat = images.reshape(BATCH, -1), gradient.reshape(BATCH, -1)
    labels = np.arange(1, kernel.size + 1).reshape(shape)  # number of each weight; 0 for none
    places = dense_of_kernel(labels, size, stride, padding)
    summed = np.bincount(
        places.ravel(), weights=(rows.T @ flat).ravel(), minlength=kernel.size + 1
    )[1:]
    pairs = ((outputs, rows @ matrix), (by_images, flat @ matrix.T), (by_kernel, summed))
    return [_largest_difference(one, other) for one, other in pairs]


def _jacobian(kernel: np.ndarray, size: Sides, stride: int, padding: int) -> np.ndarray:
    """Derivatives of every output of a convolution w.r.t. every input: [output, input]."""
    with jax.enable_x64(True):
        image = np.zeros((*size, kernel.shape[2]))
        jacobian = jax.jacobian(lambda x: _conv(x[None], kernel, stride, padding).ravel())(image)
        return np.asarray(jacobian).reshape(len(jacobian), -1)


def _kernel(seed: int, number: int) -> np.ndarray:
    return np.random.default_rng([seed, number, *b'kernel']).normal(size=CONVOLUTIONS[number][1])


def _conv(images: Any, kernel: Any, stride: int, padding: int) -> jax.Array:
    sides = [(padding, padding)] * 2
    return lax.conv_general_dilated(
        images, kernel, (stride,) * 2, sides, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )


def _draw(
    seed: int, number: int, images: tuple[int, ...], units: int, gradient: tuple[int, ...]
) -> list[np.ndarray]:
    """Random images, weights, bias and output gradient of a dense layer."""
    random = np.random.default_rng([seed, number, *b'dense'])
    return [
        random.normal(size=shape)
        for shape in (images, (int(np.prod(images[1:])), units), (units,), gradient)
    ]


def _differentiate(
    layer: nn.Module, images: np.ndarray, kernel: np.ndarray, bias: np.ndarray, gradient: np.ndarray
) -> list[np.ndarray]:
    """Outputs of a layer, and gradients w.r.t. input, kernel and bias for an output gradient."""
    with jax.enable_x64(True):
        return _pull_back(
            lambda x, w, b: layer.apply(dict(params=dict(kernel=w, bias=b)), x),
            (images, kernel, bias),
            gradient,
        )


def _pull_back(
    function: Callable[..., Any], arguments: tuple[np.ndarray, ...], gradient: np.ndarray
) -> list[np.ndarray]:
    """Outputs of a function, and its gradients w.r.t. its arguments for an output gradient."""

    @jax.jit
    def both(arguments: tuple[jax.Array, ...], gradient: jax.Array) -> tuple[jax.Array, ...]:
        outputs, back = jax.vjp(function, *arguments)
        return outputs, *back(gradient)

    return [np.asarray(result) for result in both(arguments, gradient)]


def _largest_difference(one: Any, other: Any) -> float:
    """Largest difference of two arrays, element by element, for any shapes."""
    return float(np.max(np.abs(np.ravel(one) - np.ravel(other))))


def _on_four(layers: str, errors: list[list[float]]) -> Iterator[Claim]:
    names = (
        'outputs',
        'gradients w.r.t. input',
        'gradients w.r.t. weights',
        'gradients w.r.t. bias',
    )
    for name, error in zip(names, np.max(errors, axis=0), strict=True):
        yield claims.close(f'{len(errors)} {layers}: largest difference of {name}', 0, error, EXACT)


def numbers(claims_made: list[Claim]) -> dict[str, str]:
    """Numbers of the text."""
    counted = {
        name: int(claim.measured)
        for claim in claims_made
        for name in ENTRIES
        if claim.claim.endswith(f': {ENTRIES[name]}')
    }
    apart = max(claim.error for claim in claims_made if claim.tolerance == EXACT)
    return dict(
        apart=scientific(apart), zeros=words.percent(1 - counted['kept'] / counted['entries'])
    ) | {name: f'{value:,}' for name, value in counted.items()}


def scientific(value: float) -> str:
    """Number in TeX with two digits; 0 without a power of ten."""
    digits, exponent = f'{value:.1e}'.split('e')
    return rf'{digits} \times 10^{{{int(exponent)}}}' if value else '0'
