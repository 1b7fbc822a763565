"""Depthwise convolution: equal by every lowering and to PyTorch, in value and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import native
from jaxdl.models.depthwise import depthwise, pad_before
from jaxdl.models.norm import ACTIVATIONS, norm_relu

LOWERINGS = ['patches', 'grouped', *([] if native.missing() else ['onednn'])]
# images [height, width, channel], side of the kernel, stride.
SHAPES = [
    ((7, 9, 16), 3, 1),
    ((8, 7, 20), 5, 1),
    ((8, 8, 33), 3, 2),
    ((9, 12, 16), 5, 2),
    ((1, 2, 3), 5, 2),
    ((13, 6, 16), 3, 3),
    ((2, 3, 1), 3, 1),
]
built = pytest.mark.skipif(bool(native.missing()), reason=native.missing() or 'built')


def arrays(shape, side, batch=2):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, *shape)).astype(np.float32)
    return images, rng.normal(size=(side, side, 1, shape[-1])).astype(np.float32)


def outcome(images, kernel, stride, same, lowering):
    """Outputs, and gradients of images and kernel."""

    def loss(images, kernel):
        outputs = depthwise(images, kernel, stride, same, lowering)
        return jnp.sum(outputs**2 * jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape)), (
            outputs
        )

    (_, outputs), gradients = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(
        images, kernel
    )
    return outputs, *gradients


@pytest.mark.parametrize('same', [True, False])
@pytest.mark.parametrize(('shape', 'side', 'stride'), SHAPES)
def test_lowerings_agree_in_value_and_gradient(shape, side, stride, same):
    images, kernel = arrays(shape, side)
    expected = outcome(images, kernel, stride, same, 'grouped')
    rows, columns = (-(-length // stride) for length in shape[:2])
    assert expected[0].shape == (2, rows, columns, shape[-1])
    for lowering in LOWERINGS:
        actual = outcome(images, kernel, stride, same, lowering)
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5 * np.abs(other).max(), rtol=0)


@pytest.mark.parametrize(('shape', 'side', 'stride'), SHAPES)
def test_the_values_are_those_of_pytorch(shape, side, stride):
    torch = pytest.importorskip('torch')
    images, kernel = arrays(shape, side)
    weights = torch.tensor(kernel.transpose(3, 2, 0, 1))
    for same in (False, True):
        padding = []
        for length in shape[1::-1]:  # columns first
            total = max(0, (-(-length // stride) - 1) * stride + side - length)
            before = total // 2 if same else side // 2
            padding += [before, max(0, total - before)]
        padded = torch.nn.functional.pad(torch.tensor(images.transpose(0, 3, 1, 2)), padding)
        conv = torch.nn.functional.conv2d(padded, weights, stride=stride, groups=shape[-1])
        actual = depthwise(images, kernel, stride, same)
        np.testing.assert_allclose(actual, conv.numpy().transpose(0, 2, 3, 1), atol=1e-5)


@pytest.mark.parametrize('activation', ACTIVATIONS)
@pytest.mark.parametrize('lowering', LOWERINGS)
def test_bias_and_activation(lowering, activation):
    images, kernel = arrays((6, 7, 18), 3)
    bias = np.linspace(-3, 6, 18).astype(np.float32)
    actual = depthwise(3 * images, kernel, 2, True, lowering, bias, activation)
    plain = np.asarray(depthwise(3 * images, kernel, 2, True, 'grouped')) + bias
    np.testing.assert_allclose(actual, ACTIVATIONS[activation](plain), atol=1e-4)


@built
def test_members_share_images_or_kernels():
    images, kernel = arrays((6, 7, 18), 3)
    kernels = np.stack([kernel, 2 * kernel, -kernel])
    several = np.stack([images, images + 1, images - 1])
    value = lambda x, w: depthwise(x, w, 2, True, 'onednn')
    gradient = jax.grad(lambda x, w: jnp.sum(value(x, w) ** 2), (0, 1))
    for axes in ((None, 0), (0, None), (0, 0)):
        x, w = (images if axes[0] is None else several), (kernel if axes[1] is None else kernels)
        for function in (value, gradient):
            actual = jax.vmap(function, axes)(x, w)
            for i in range(3):
                one = function(x if axes[0] is None else x[i], w if axes[1] is None else w[i])
                for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(one), strict=True):
                    np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-4)


@built
@pytest.mark.parametrize(
    ('images', 'kernel', 'outputs', 'settings'),
    [
        ((1, 2, 6, 6, 4), (1, 3, 3, 5), (1, 2, 6, 6, 4), {}),
        ((1, 2, 6, 6, 4), (1, 3, 3, 4), (1, 3, 6, 6, 4), {}),
        ((2, 2, 6, 6, 4), (3, 3, 3, 4), (3, 2, 6, 6, 4), {}),
        ((1, 2, 6, 6, 4), (1, 3, 3, 4), (1, 2, 6, 6, 4), dict(stride=0)),
        ((1, 2, 6, 6, 4), (1, 3, 3, 4), (1, 2, 6, 6, 4), dict(top=3)),
        ((1, 2, 6, 6, 4), (1, 3, 3, 4), (1, 2, 6, 6, 4), dict(left=-1)),
    ],
)
def test_wrong_shapes_are_an_error(images, kernel, outputs, settings):
    settings = {k: np.int64(v) for k, v in (dict(stride=1, top=1, left=1) | settings).items()}
    result = jax.ShapeDtypeStruct(outputs, np.float32)
    with pytest.raises(jax.errors.JaxRuntimeError, match=r'depthwise .*f32\[.*do not fit'):
        jax.ffi.ffi_call('jaxdl_depthwise_forward', result)(
            *map(jnp.zeros, (images, kernel, (1, 0))), activation=np.int64(0), **settings
        )


def test_padding_of_tensorflow_and_of_pytorch():
    assert [pad_before(side, 3, 2, True) for side in (224, 225)] == [0, 1]
    assert [pad_before(side, 5, 2, True) for side in (56, 57)] == [1, 2]
    assert [pad_before(7, side, 1, same) for side in (3, 5) for same in (0, 1)] == [1, 1, 2, 2]


@built
@pytest.mark.parametrize('sum_', [False, True])
@pytest.mark.parametrize('norm', [0, 1])
def test_relu6_after_a_norm(norm, sum_):
    rng = np.random.default_rng(0)
    draw = lambda *shape: (4 * rng.normal(size=shape)).astype(np.float32)
    images, skip, scale, bias = draw(3, 4, 5, 18), draw(3, 4, 5, 18), draw(18), draw(18)

    def natively(images, skip, scale, bias):
        settings = dict(norm=norm, activation=2, epsilon=1e-3)
        return norm_relu(images, scale, bias, skip if sum_ else None, **settings)[0]

    def plainly(images, skip, scale, bias):
        mean, spread = (0.0, 1.0)
        if norm:
            mean, spread = images.mean((0, 1, 2)), jnp.sqrt(images.var((0, 1, 2)) + 1e-3)
        out = (images - mean) / spread * scale + bias + (skip if sum_ else 0)
        return jax.nn.relu6(out)

    weights = draw(3, 4, 5, 18)
    with jax.numpy_rank_promotion('allow'):
        for function in (
            lambda f: f(images, skip, scale, bias),
            lambda f: jax.grad(lambda *a: jnp.sum(f(*a) * weights), (0, 1, 2, 3))(
                images, skip, scale, bias
            ),
        ):
            actual, expected = (
                jax.tree.leaves(function(natively)),
                jax.tree.leaves(function(plainly)),
            )
            for one, other in zip(actual, expected, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-4 * (1 + np.abs(other).max()))
