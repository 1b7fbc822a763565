import numpy as np
import pytest

from jaxdl.data import preprocess


@pytest.fixture(params=['bytes', 'float'])
def images(request):
    random = np.random.default_rng(0)
    if request.param == 'bytes':
        return random.integers(0, 256, (1030, 3, 4, 2), np.uint8)
    return random.normal(5, 3, (1030, 3, 4, 2)).astype(np.float32)


def test_bytes_become_zero_to_one_and_other_numbers_stay(images):
    expected = images / np.float32(255) if images.dtype == np.uint8 else images
    converted = np.asarray(preprocess.to_float(images))
    assert converted.dtype == np.float32
    np.testing.assert_allclose(converted, expected, rtol=2e-7)


def test_normalized_training_images_have_mean_0_and_deviation_1(images):
    indices = np.arange(3, 1030)  # more than one piece
    moments = preprocess.channel_moments(images, indices)
    normalized = preprocess.normalize(preprocess.to_float(images[indices]), *moments)
    normalized = np.asarray(normalized, np.float64)
    np.testing.assert_allclose(normalized.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std((0, 1, 2)), 1, atol=1e-5)


def test_a_constant_channel_is_centred_and_not_scaled(images):
    images[..., 1] = 7
    mean, std = preprocess.channel_moments(images, np.arange(len(images)))
    assert std[1] == 1
    normalized = preprocess.normalize(preprocess.to_float(images), mean, std)
    np.testing.assert_allclose(normalized[..., 1], 0, atol=1e-6)


def test_one_image_is_normalized_as_a_batch_is():
    image = np.random.default_rng(1).random((5, 4, 3), np.float32)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)
    alone = preprocess.normalize(preprocess.to_float(image), mean, std)
    batch = preprocess.normalize(preprocess.to_float(image[None]), mean, std)
    np.testing.assert_array_equal(alone, batch[0])
    np.testing.assert_allclose(alone, (image - np.array(mean)) / np.array(std), rtol=1e-5)
