"""Crops against Pillow on photographs; the whole image as identity; shapes of random boxes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from jaxdl import augment
from jaxdl.errors import InputError


def _photographs():
    """uint8 [2, 180, 270, 3]."""
    return np.stack(
        [load_sample_image(name)[100:280, 200:470] for name in ('china.jpg', 'flower.jpg')]
    )


def _floats(pixels):
    return jnp.asarray(pixels, jnp.float32) / 255


crop = jax.jit(augment.resized_crop, static_argnums=2)


# Shrinking, growing, one side of each; a box at an edge, one in the middle, and the whole.
@pytest.mark.parametrize('size', [(64, 64), (32, 96), (224, 320), (300, 40)])
def test_crops_are_pillows(size):
    pixels = _photographs()
    height, width = pixels.shape[1:3]
    for boxes in (
        [[0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.5, 0.4]],
        [[0.37, 0.55, 0.63, 0.45], [0.0, 0.31, 0.2, 0.2]],
    ):
        actual = crop(_floats(pixels), jnp.asarray(boxes), size)
        for image, (top, left, high, wide), cropped in zip(pixels, boxes, actual, strict=True):
            box = (left * width, top * height, (left + wide) * width, (top + high) * height)
            box = tuple(
                min(edge, side) for edge, side in zip(box, (width, height) * 2, strict=True)
            )
            expected = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR, box)
            np.testing.assert_allclose(
                255 * cropped, np.asarray(expected), atol=1.1
            )  # it rounds after either direction


@pytest.mark.parametrize('shape', [(2, 64, 64, 3), (3, 49, 51, 3), (1, 37, 224, 1)])
def test_the_whole_image_at_its_own_size_changes_no_bit(shape):
    images = jnp.asarray(np.random.default_rng(0).random(shape), jnp.float32)
    whole = augment.centre_boxes(shape[0], 1.0)
    np.testing.assert_array_equal(augment.resized_crop(images, whole, shape[1:3]), images)
    np.testing.assert_array_equal(crop(images, whole, shape[1:3]), images)


def test_an_image_is_cropped_by_its_own_box_and_in_bounds():
    images = _floats(_photographs())
    boxes = jnp.asarray([[0.0, 0.0, 0.3, 0.9], [0.5, 0.25, 0.5, 0.5]])
    together = crop(images, boxes, 50)
    alone = [crop(images[i : i + 1], boxes[i : i + 1], 50) for i in range(2)]
    np.testing.assert_allclose(together, jnp.concatenate(alone), atol=1e-6)
    assert together.shape == (2, 50, 50, 3)
    assert 0 <= together.min() <= together.max() <= 1 + 1e-6


def test_one_colour_stays_that_colour_at_every_edge():
    images = jnp.full((6, 40, 30, 1), 0.7)
    boxes = augment.random_boxes(jax.random.key(1), 6, 0.05)
    for size in (7, 90):
        np.testing.assert_allclose(crop(images, boxes, size), 0.7, atol=1e-6)


def test_boxes_are_traced_and_members_have_their_own():
    images, traces = _floats(_photographs()), []

    @jax.jit
    @jax.vmap
    def crops(least):
        traces.append(1)
        return augment.resized_crop(images, augment.random_boxes(jax.random.key(0), 2, least), 20)

    result = crops(jnp.asarray([1.0, 0.2]))
    crops(jnp.asarray([0.5, 0.3]))
    assert len(traces) == 1
    whole = crop(images, augment.centre_boxes(2, 1.0), 20)
    np.testing.assert_allclose(result[0], whole, atol=1e-6)
    assert np.abs(result[1] - whole).max() > 0.05


def test_centre_boxes_are_in_the_middle():
    boxes = np.asarray(augment.centre_boxes(3, jnp.asarray([1.0, 0.5, 0.875])))
    np.testing.assert_array_equal(boxes[:, 2:], [[1, 1], [0.5, 0.5], [0.875, 0.875]])
    np.testing.assert_array_equal(2 * boxes[:, :2] + boxes[:, 2:], 1)


@pytest.mark.parametrize('least', [0.08, 0.35, 0.9])
def test_random_boxes_lie_in_the_image_and_their_areas_are_uniform(least):
    top, left, height, width = np.asarray(
        augment.random_boxes(jax.random.key(0), 4000, least), np.float64
    ).T
    assert all(
        np.all((low >= 0) & (low + share <= 1 + 1e-6))
        for low, share in ((top, height), (left, width))
    )
    areas = np.sort((height * width - least) / (1 - least))
    np.testing.assert_allclose(
        areas, (np.arange(4000) + 0.5) / 4000, atol=0.03
    )  # Kolmogorov's 1 % point: 0.026
    ratios = np.log(width / height)
    assert np.all(np.abs(ratios) <= np.log(4 / 3) + 1e-5)
    assert abs(ratios.mean()) < 0.02
    free = height * width < 0.7  # of those no shape is too long: log-uniform
    if least < 0.7:
        assert ratios[free].std() == pytest.approx(np.log(4 / 3) / np.sqrt(3), rel=0.05)
        for low, share in ((top, height), (left, width)):
            places = np.sort(low[free] / (1 - share[free]))
            np.testing.assert_allclose(
                places, (np.arange(len(places)) + 0.5) / len(places), atol=0.04
            )


@pytest.mark.parametrize('ratio', [(3 / 4, 4 / 3), (0.1, 0.5)])
def test_a_least_area_of_1_is_the_whole_image_whatever_the_ratio(ratio):
    boxes = jax.jit(lambda least: augment.random_boxes(jax.random.key(2), 50, least, ratio))(1.0)
    np.testing.assert_array_equal(boxes, np.tile([0.0, 0.0, 1.0, 1.0], (50, 1)))


def test_invalid_input_is_an_error():
    images = _floats(_photographs())
    for boxes, inputs, words in (
        (jnp.ones((3, 4)), images, '3, 4'),
        (jnp.ones((2, 4)), images[0], 'must be float'),
    ):
        with pytest.raises(InputError, match=words):
            augment.resized_crop(inputs, boxes, 8)
