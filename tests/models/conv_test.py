"""Convolution lowerings: values and gradients against NumPy, under every batching."""

import functools
import os
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy import signal

from jaxdl import native
from jaxdl.models.conv import LOWERINGS, conv

SHAPES = int(os.environ.get('JAXDL_SHAPES', 8))  # random ones for each lowering
CASES = [
    ((2, 8, 8, 1), (3, 3, 1, 4), 1, 1),
    ((1, 7, 9, 3), (3, 5, 3, 2), 2, 2),
    ((3, 5, 5, 2), (1, 1, 2, 6), 1, 0),
    ((2, 6, 6, 4), (1, 1, 4, 3), 2, 0),
    ((2, 4, 4, 2), (4, 4, 2, 3), 3, 0),
    ((1, 2, 2, 1), (5, 5, 1, 1), 1, 2),
    ((1, 11, 6, 2), (2, 3, 2, 5), 3, 1),
    ((3, 6, 7, 3), (3, 3, 3, 17), 2, 0),
    ((4, 9, 9, 2), (3, 3, 2, 16), 4, 3),
]
# (member axis of the images, of the kernel), from the outer vmap to the inner; `row` is how the
# engine does it.
BATCHED = dict(
    neither=[],
    both=[(0, 0)],
    kernel=[(None, 0)],
    images=[(0, None)],
    row=[(0, 0), (None, 0)],
    crossed=[(0, None), (None, 0)],
    shared=[(None, 0), (0, 0)],
)


@pytest.fixture(params=LOWERINGS)
def lowering(request):
    if request.param == 'onednn' and native.missing():
        pytest.skip(native.missing())
    return request.param


def reference(x, w, stride, padding):
    """The value, and what gives the gradients, one tap after another in float64."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = ((padded.shape[i] - w.shape[i - 1]) // stride + 1 for i in (1, 2))

    def tap(array, i, j):
        return array[
            :, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride
        ]

    taps = list(np.ndindex(*w.shape[:2]))
    value = sum(tap(padded, i, j) @ w[i, j] for i, j in taps)

    def back(g):
        d_padded, d_w = np.zeros_like(padded), np.zeros_like(w)
        for i, j in taps:
            tap(d_padded, i, j)[...] += g @ w[i, j].T
            d_w[i, j] = np.einsum('bhwc,bhwd->cd', tap(padded, i, j), g)
        return d_padded[:, padding : padding + x.shape[1], padding : padding + x.shape[2]], d_w

    return value, back


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def check(lowering, images, kernel, stride, padding):
    x, w = draw(images, kernel)
    expected, expected_back = reference(x, w, stride, padding)
    (g,) = draw(expected.shape, seed=1)

    @jax.jit
    def both(x, w, g):
        value, back = jax.vjp(lambda x, w: conv(x, w, stride, padding, lowering), x, w)
        return value, back(g)

    value, gradients = both(x, w, g)
    np.testing.assert_allclose(value, expected, atol=1e-4, rtol=1e-4)
    for gradient, other in zip(gradients, expected_back(g), strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-4 * max(1, np.abs(other).max()))


@pytest.mark.parametrize(('images', 'kernel', 'stride', 'padding'), CASES)
def test_value_and_gradients(lowering, images, kernel, stride, padding):
    check(lowering, images, kernel, stride, padding)


def test_random_shapes(lowering):
    rng = np.random.default_rng(zlib.crc32(lowering.encode()))
    for number in range(SHAPES):
        if number % 100 == 99:
            jax.clear_caches()  # a process can map so many programs into memory and no more
        kernel = (
            *rng.integers(1, 6, 2),
            rng.choice([1, 2, 3, 5, 8, 16]),
            rng.choice([1, 3, 4, 7, 16, 24]),
        )
        padding, stride = int(rng.integers(0, 4)), int(rng.integers(1, 5))
        sides = [max(1, kernel[i] - 2 * padding) + int(rng.integers(0, 9)) for i in (0, 1)]
        images = (int(rng.integers(1, 6)), *sides, kernel[2])
        try:
            check(lowering, images, tuple(map(int, kernel)), stride, padding)
        except Exception as error:
            raise AssertionError(
                f'images {images}, kernel {kernel}, stride {stride}, padding {padding}'
            ) from error


def of_members(of, batched, images, kernel):
    """A loss and its gradients, with member axes in front of images and kernel."""
    axes = BATCHED[batched]
    sides = [2, 3][: len(axes)]
    unbatched = [
        [side for side, pair in zip(sides, axes, strict=True) if pair[i] == 0] for i in (0, 1)
    ]
    x, w = draw((*unbatched[0], *images), (*unbatched[1], *kernel))
    for pair in reversed(axes):
        of = jax.vmap(of, in_axes=pair)
    return jax.jit(jax.value_and_grad(lambda x, w: jnp.sum(jnp.sin(of(x, w))), (0, 1)))(x, w)


@functools.cache
def expected_of_members(batched, images, kernel, stride, padding):
    return of_members(lambda x, w: xla(x, w, stride, padding), batched, images, kernel)


@pytest.mark.parametrize('batched', BATCHED)
@pytest.mark.parametrize(('images', 'kernel', 'stride', 'padding'), CASES[:2])
def test_batched_in_every_way(lowering, batched, images, kernel, stride, padding):
    actual = of_members(lambda x, w: conv(x, w, stride, padding, lowering), batched, images, kernel)
    expected = expected_of_members(batched, images, kernel, stride, padding)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4, rtol=1e-4)


def test_gradients_of_members_one_by_one(lowering):
    x, w = map(jnp.asarray, draw((3, 2, 5, 5, 2), (3, 3, 3, 2, 4)))
    for of in (
        lambda x, w: conv(x, w, 1, 1, lowering).sum(),
        lambda x, w: conv(x, w, 1, 1, lowering)[..., :2].sum(),
    ):
        result = jax.vmap(jax.grad(of, (0, 1)))(x, w)
        for i in range(3):
            for gradient, other in zip(result, jax.grad(of, (0, 1))(x[i], w[i]), strict=True):
                np.testing.assert_allclose(gradient[i], other, atol=1e-4)


def xla(images, kernel, stride, padding):
    pads = [(padding, padding)] * 2
    return lax.conv_general_dilated(
        images, kernel, (stride,) * 2, pads, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )


def of_second_order(of):
    """Gradients of the squared norm of gradients."""
    first = jax.grad(lambda x, w: jnp.sum(jnp.sin(of(x, w))), (0, 1))
    second = jax.grad(lambda x, w: sum(jnp.sum(g**2) for g in first(x, w)), (0, 1))
    return jax.jit(second)(*draw((2, 5, 6, 2), (3, 3, 2, 3)))


@functools.cache
def expected_of_second_order():
    return of_second_order(lambda x, w: xla(x, w, 2, 1))


def test_derivatives_of_second_order(lowering):
    result = of_second_order(lambda x, w: conv(x, w, 2, 1, lowering))
    for one, other in zip(result, expected_of_second_order(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-2, rtol=1e-3)


def test_every_lowering_works_inside_scan(lowering):
    x, w = map(jnp.asarray, draw((2, 3, 6, 6, 2), (2, 3, 3, 2, 2)))  # two members
    step = jax.vmap(lambda x, w: jnp.tanh(conv(x, w, 1, 1, lowering)))
    result, _ = jax.jit(lambda x: lax.scan(lambda x, _: (step(x, w), None), x, length=3))(x)
    for _ in range(3):
        x = np.tanh(jax.vmap(lambda x, w: xla(x, w, 1, 1))(x, w))
    np.testing.assert_allclose(result, x, atol=1e-4)


def test_the_cross_correlation_of_scipy(lowering):
    x, w = draw((1, 6, 7, 2), (3, 3, 2, 1))
    expected = sum(signal.correlate2d(x[0, :, :, c], w[:, :, c, 0], 'valid') for c in range(2))
    np.testing.assert_allclose(conv(x, w, lowering=lowering)[0, :, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ('images', 'kernel', 'stride', 'padding'),
    [
        ((1, 4, 4, 2), (3, 3, 1, 1), 1, 0),
        ((1, 2, 2, 1), (3, 3, 1, 1), 1, 0),
        ((4, 4, 1), (3, 3, 1, 1), 1, 0),
        ((1, 4, 4, 1), (3, 3, 1, 1), 0, 0),
        ((1, 4, 4, 1), (3, 3, 1, 1), 1, -1),
    ],
)
def test_misfitting_shapes_are_an_error(images, kernel, stride, padding):
    with pytest.raises(ValueError, match='conv:'):
        conv(jnp.zeros(images), jnp.zeros(kernel), stride, padding)
