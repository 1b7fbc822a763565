"""Predictions: independent of input form, batch and order; views and Grad-CAM maps."""

import pathlib

import jax
import numpy as np
import pytest
import tiny
from PIL import Image
from scipy.special import log_softmax, softmax

from jaxdl.config.recipe import VIEWS
from jaxdl.errors import InputError
from jaxdl.inference import gradcam, tta
from jaxdl.inference.model_file import SavedModel
from jaxdl.inference.predictor import Predictor


def predictor(members=1, **changes):
    networks = tuple(tiny.variables(seed) for seed in range(members))
    return Predictor(SavedModel(tiny.MODULE, networks, tiny.card(**changes)))


def logits_of(images, seed=0):
    """Logits by the module alone, from images decoded at the network's input size."""
    mean, std = (
        np.asarray(v, np.float32) for v in (tiny.ROW.preprocessing.mean, tiny.ROW.preprocessing.std)
    )
    return np.asarray(_logits(tiny.variables(seed), (images.astype(np.float32) / 255 - mean) / std))


_logits = jax.jit(tiny.MODULE.apply)


def test_padded_is_unpadded():
    networks, images, before = predictor(), tiny.images(9), tta._log_softmax._cache_size()
    whole = networks.predict(images, batch_size=7)  # 7, and 2 padded
    assert tta._log_softmax._cache_size() == before + 1
    parts = [networks.predict(images[start : start + 4]).probabilities for start in (0, 4, 5)]
    np.testing.assert_allclose(
        whole.probabilities, np.concatenate([*parts[:2], parts[2][-1:]]), atol=1e-6
    )
    assert (
        len({tuple(np.round(row, 3)) for row in whole.probabilities}) == 9
    )  # they differ, so order is seen
    assert whole.probabilities.dtype == np.float32
    np.testing.assert_allclose(whole.probabilities.sum(1), 1, rtol=1e-6)
    assert whole.class_names == [tiny.CLASSES[i] for i in whole.probabilities.argmax(1)]


def test_files_and_arrays_of_any_size_are_the_same(tmp_path):
    networks, shapes = predictor(), ((32, 32), (40, 70), (91, 33), (20, 24))
    images = [tiny.images(1, *shape, seed=i)[0] for i, shape in enumerate(shapes)]
    paths = [tiny.files(tmp_path, [image], [f'{i}.png'])[0] for i, image in enumerate(images)]
    by_array, by_path = networks.predict(images), networks.predict([str(paths[0]), *paths[1:]])
    np.testing.assert_array_equal(by_array.probabilities, by_path.probabilities)
    assert by_path.ids == list(map(str, paths))
    assert by_array.ids == ['0', '1', '2', '3']
    assert networks.predict(paths[2]).class_names == [by_path.class_names[2]]
    back = networks.predict(paths[::-1]).probabilities
    np.testing.assert_allclose(back[::-1], by_path.probabilities, atol=1e-6)


def test_an_array_is_centred_and_scaled_as_pillow_does():
    image = tiny.images(1, 40, 70)[0]
    by_hand = Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR, (15, 0, 55, 40))
    both = predictor().predict([image, np.asarray(by_hand), *tiny.images(2)]).probabilities
    np.testing.assert_array_equal(*both[:2])
    assert np.abs(both[0] - both[2]).max() > 1e-3


def test_grey_becomes_three_channels(tmp_path):
    grey, networks = tiny.images(4)[..., 0], predictor()
    wanted = networks.predict(np.repeat(grey[..., None], 3, -1)).probabilities
    for inputs in (grey[..., None], list(grey), tiny.files(tmp_path, grey)):
        np.testing.assert_array_equal(networks.predict(inputs).probabilities, wanted)


@pytest.mark.parametrize('nothing', [[], np.zeros((0, 9, 9, 3), np.uint8)])
def test_no_images_at_all(nothing):
    prediction = predictor().predict(nothing)
    assert (prediction.class_names, prediction.probabilities.shape, prediction.ids) == (
        [],
        (0, 3),
        [],
    )
    assert predictor().gradcam(nothing).shape == (0, 32, 32)


@pytest.mark.parametrize(
    ('inputs', 'words'),
    [
        (
            ['good.png', 'none.png', 'no.jpg'],
            r'2 of 3 images cannot be read: none.png \(no such file\), no.jpg',
        ),
        (['good.png', 'broken.png'], r'1 of 2 images cannot be read: broken.png \('),
        (['empty.png'], r'empty.png \(an empty file\)'),
        ([np.zeros((0, 4, 3), np.uint8)], r'number 0 \(4 x 0 pixels\)'),
        (np.zeros((2, 0, 4, 3), np.uint8), '2 of 2 images'),
        (np.zeros((2, 4, 4, 3), np.float32), 'must be uint8'),
        (np.zeros((2, 4, 4, 4), np.uint8), r'must be \[height, width, 3\]'),
        (
            np.zeros((4, 4, 3), np.uint8),
            r'images of shape \[4, 4, 3\]: must be \[n, height, width, 3\]',
        ),
        ([3], 'a int, neither a path nor an array'),
    ],
)
def test_bad_images_are_named(tmp_path, inputs, words):
    (good,) = tiny.files(tmp_path, tiny.images(1), ['good.png'])
    (tmp_path / 'broken.png').write_bytes(good.read_bytes()[:300])
    (tmp_path / 'empty.png').touch()
    with pytest.raises(InputError, match=words) as caught:
        predictor().predict(inputs)
    assert '\n' not in str(caught.value)


def test_every_bad_image_is_named_whatever_the_batches(tmp_path):
    paths = tiny.files(tmp_path, tiny.images(6))
    for place in (0, 5):
        paths[place].write_bytes(b'nothing')
    with pytest.raises(InputError, match=r'2 of 6 images .*0.png .*5.png'):
        predictor().predict(paths, batch_size=2)


@pytest.mark.parametrize('size', [0, 2.5])
def test_bad_batch_sizes(size):
    with pytest.raises(InputError, match='batch_size'):
        predictor().predict(tiny.images(1), batch_size=size)


def test_log_probabilities_are_of_the_mean_over_members_and_views():
    images, adjustment = tiny.images(4), np.array([0.5, -1.0, 0.0])
    networks = predictor(members=2, adjustment=tuple(adjustment.tolist()), temperature=1.0)
    result = tta.log_probabilities(tiny.MODULE, networks.model.members, networks.model.card, images)
    by_member = [
        logits_of(batch, seed) - adjustment
        for seed in range(2)
        for batch in (images, images[:, :, ::-1])
    ]
    wanted = softmax(by_member, axis=-1).mean(0)
    np.testing.assert_allclose(np.exp(result), wanted, atol=1e-5)
    np.testing.assert_allclose(networks.predict(images).probabilities, wanted, atol=1e-5)


def test_temperature_divides_the_log_of_the_mean():
    images = tiny.images(4)
    plain, warm = (predictor(temperature=t).predict(images).probabilities for t in (1.0, 2.5))
    np.testing.assert_allclose(warm, softmax(np.log(plain) / 2.5, axis=1), atol=1e-5)
    assert (warm.max(1) < plain.max(1)).all()


def make_views(images, kind, size, crop):
    """All views of images [n, height, width, channel]: float [view, n, size, size, channel]."""
    rows = zip(*tta.make_boxes(kind, crop), strict=True)
    return np.stack([tta.make_view(images, box, mirrored, size) for box, mirrored in rows])


@pytest.mark.parametrize('kind', VIEWS)
def test_views_are_boxes_mirrored_or_not(kind):
    """In a picture whose pixels hold their places, a view says where it is from."""
    rows, columns = np.mgrid[0:40, 0:40].astype(np.float32) + 0.5
    images = np.stack([rows, columns, columns], -1)[None] / 40
    views = np.asarray(make_views(images, kind, 20, 0.5))
    assert views.shape == (
        dict(none=1, flip=2, five_crops=5, five_crops_flip=10)[kind],
        1,
        20,
        20,
        3,
    )
    corners = [(0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)] if 'five' in kind else []
    for view, (top, left) in zip(views, [(0.25, 0.25), *corners], strict=False):
        np.testing.assert_allclose(view[0, :, 0, 0], top + (np.arange(20) + 0.5) / 40, atol=1e-6)
        np.testing.assert_allclose(view[0, 0, :, 1], left + (np.arange(20) + 0.5) / 40, atol=1e-6)
    if 'flip' in kind:
        np.testing.assert_array_equal(
            views[len(views) // 2 :], views[: len(views) // 2, :, :, ::-1]
        )


def test_five_crops_of_the_whole_are_still_five():
    views = np.asarray(make_views(tiny.images(1) / np.float32(255), 'five_crops', 32, 1.0))
    assert len({view.tobytes() for view in views}) == 5


def test_mirrored_views_make_predictions_mirror_invariant():
    images = tiny.images(4)
    for views, least, most in (('flip', 0, 1e-6), ('none', 1e-3, 1)):
        networks = predictor(views=views)
        one, other = (
            networks.predict(batch).probabilities for batch in (images, images[:, :, ::-1])
        )
        assert least <= np.abs(one - other).max() <= most


def test_other_views_on_demand(tmp_path):
    workdir, images = tiny.workdir(tmp_path / 'run'), tiny.images(4)
    one, other = (
        Predictor.from_checkpoint(workdir, views).predict(images) for views in ('none', '')
    )
    np.testing.assert_allclose(
        one.probabilities, softmax(log_softmax(logits_of(images), 1) / 1.5, 1), atol=1e-5
    )
    assert np.abs(one.probabilities - other.probabilities).max() > 1e-3
    with pytest.raises(InputError, match='did you mean flip'):
        Predictor.from_checkpoint(workdir, 'flips')


def test_maps_are_the_class_activation_maps_of_the_head():
    """Mean and dense layer follow the map: Grad-CAM is the head's row (Selvaraju et al., 3.1)."""
    images, networks = tiny.images(4), predictor(views='none')
    mean, std = (
        np.asarray(v, np.float32) for v in (tiny.ROW.preprocessing.mean, tiny.ROW.preprocessing.std)
    )
    features = tiny.MODULE.apply(
        tiny.variables(), (images / np.float32(255) - mean) / std, method='feature_map'
    )
    rows = tiny.variables()['params']['head']['kernel'][
        :, logits_of(images).argmax(1)
    ]  # [features, n]
    wanted = np.maximum(np.einsum('nrcf,fn->nrc', features, rows), 0)
    wanted = np.asarray(jax.image.resize(wanted, (4, 32, 32), 'linear'))
    maps = networks.gradcam(images)
    np.testing.assert_allclose(maps, wanted / wanted.max((1, 2), keepdims=True), atol=1e-4)
    assert maps.min() >= 0
    assert maps.max() <= 1


def test_a_class_without_evidence_has_an_empty_map():
    variables = jax.tree.map(np.copy, tiny.variables())
    variables['params']['head']['kernel'][:, 0] = -1  # features are at least 0
    networks = tta.fold_members(tiny.MODULE, [variables])
    maps = gradcam.gradcam(networks, tiny.SIDE, tiny.images(2), [0, 0])
    assert not np.asarray(maps).any()


def test_overlays_show_the_input_crops():
    images = tiny.images(2)
    crops = gradcam.centre_crops(1.0, tiny.SIDE, images)
    np.testing.assert_array_equal(crops, images)  # crop 1, and the size that it is decoded at
    maps = np.zeros((2, 32, 32), np.float32)
    maps[:, :16] = 1
    overlays = gradcam.overlay(crops, maps)
    assert (overlays.shape, overlays.dtype) == (crops.shape, np.uint8)
    assert (overlays[:, :16].mean((1, 2)) > overlays[:, 16:].mean((1, 2))).all()


def test_from_a_path_as_text(tmp_path):
    tiny.workdir(tmp_path / 'run')
    assert Predictor.from_checkpoint('run').class_names == tiny.CLASSES
    assert Predictor.from_checkpoint(pathlib.Path('run')).class_names == tiny.CLASSES
