"""Augmentations and targets against SciPy, Pillow and colorsys; identity at 0; pairing."""

import colorsys
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_digits, load_sample_images

from jaxdl import augment, native
from jaxdl.augment import AUGMENTATIONS, randaugment, table
from jaxdl.augment.geometry import LOWERINGS
from jaxdl.errors import InputError

GROCERY = pathlib.Path(__file__).parents[3] / 'shared' / 'data' / 'grocery'
GRID = dict(order=1, mode='grid-constant', cval=0.0)
STRONG = {name: min(row.most, 1.0) for name, row in AUGMENTATIONS.items()} | dict(
    rotation=90.0, colour=0.8
)


def _photographs():
    """Crops of real photographs, uint8 [2, 37, 52, 3]: one odd side, one even side."""
    return np.stack([image[150:187, 200:252] for image in load_sample_images().images])


def _digits():
    return (load_digits().images[:3, ..., None] * (255 / 16)).astype(np.uint8)


def _grocery():
    files = sorted(GROCERY.rglob('*.jpg'))[:2]
    if not files:
        pytest.skip('no grocery images here')
    return np.stack(
        [np.asarray(Image.open(file).convert('RGB').resize((33, 33))) for file in files]
    )


REAL = dict(photographs=_photographs, digits=_digits, grocery=_grocery)


@pytest.fixture(params=REAL)
def pixels(request):
    """uint8 [n, height, width, channel]."""
    return REAL[request.param]()


@pytest.fixture(params=LOWERINGS)
def lowering(request):
    if request.param == 'native' and native.missing():
        pytest.skip(native.missing())
    return request.param


def _floats(pixels):
    return jnp.asarray(pixels, jnp.float32) / 255


def _planes(function, images):
    """`function` of every plane [height, width] in float64."""
    images = np.asarray(images, np.float64)
    return np.stack(
        [
            np.stack([function(i, image[..., c]) for c in range(image.shape[-1])], -1)
            for i, image in enumerate(images)
        ]
    )


def test_warp_is_scipys_affine_transform(pixels, lowering):
    images, rng = _floats(pixels), np.random.default_rng(0)
    n, height, width, _ = images.shape
    radians, scale = rng.uniform(-4, 4, n), rng.uniform(0.5, 2, n)
    down, right = rng.uniform(-9, 9, (2, n))
    middle = (np.array([height, width]) - 1) / 2

    def reference(i, plane):
        cos, sin = math.cos(radians[i]), math.sin(radians[i])
        forward = scale[i] * np.array(
            [[cos, -sin], [sin, cos]]
        )  # of (y, x), y down: counter-clockwise as seen
        back = np.linalg.inv(forward)
        return scipy.ndimage.affine_transform(
            plane, back, middle - back @ (middle + np.array([down[i], right[i]])), **GRID
        )

    result = augment.warp(images, radians, (down, right), scale, lowering=lowering)
    np.testing.assert_allclose(result, _planes(reference, images), atol=2e-5)


@pytest.mark.parametrize('degrees', [-170, -45, 10, 90, 123.4])
def test_rotate_is_scipys_rotate(pixels, degrees):
    images = _floats(pixels)
    expected = _planes(
        lambda _, plane: scipy.ndimage.rotate(plane, degrees, reshape=False, **GRID), images
    )
    np.testing.assert_allclose(augment.rotate(images, math.radians(degrees)), expected, atol=2e-5)


def test_a_quarter_turn_is_counter_clockwise():
    image = _photographs()[0, :36, :36]
    result = augment.rotate(_floats(image[None]), math.pi / 2)[0]
    np.testing.assert_allclose(result, np.rot90(image) / 255, atol=2e-5)
    np.testing.assert_allclose(
        result, np.asarray(Image.fromarray(image).rotate(90)) / 255, atol=2e-5
    )


@pytest.mark.parametrize('shift', [(3, 0), (0, -2), (1.25, -4.5), (100, 0)])
def test_translate_is_scipys_shift(pixels, shift):
    images = _floats(pixels)
    expected = _planes(lambda _, plane: scipy.ndimage.shift(plane, shift, **GRID), images)
    np.testing.assert_allclose(augment.translate(images, shift), expected, atol=2e-5)


def test_translation_is_positive_down_and_right():
    result = augment.translate(jnp.zeros((1, 4, 5, 1)).at[0, 1, 1].set(1.0), (1, 2))
    assert np.argwhere(result[0, ..., 0] == 1).tolist() == [[2, 3]]


def test_an_image_is_warped_by_its_own_parameters(lowering):
    images, angles = _floats(_digits()), np.array([0.3, -1.0, 2.0])
    together = augment.warp(images, angles, (0.5, 0.0), lowering=lowering)
    alone = [
        augment.warp(images[i : i + 1], angle, (0.5, 0.0), lowering=lowering)
        for i, angle in enumerate(angles)
    ]
    np.testing.assert_allclose(together, jnp.concatenate(alone), atol=1e-6)


def test_lowerings_agree_under_nested_vmap(lowering):
    images = _floats(_digits())
    angles = jnp.linspace(-3, 3, 6).reshape(2, 3)

    def members(lowering):
        def turned(images, angle):
            return augment.warp(images, angle, (0.5, -1.25), lowering=lowering)

        return jax.jit(jax.vmap(jax.vmap(turned, (None, 0))))(
            jnp.stack([images, images[::-1]]), angles
        )

    np.testing.assert_allclose(members(lowering), members('jax'), atol=2e-6)


def test_flip_mirrors_the_selected_images():
    images = _floats(_digits())
    result = augment.flip(images, jnp.asarray([True, False, True]))
    np.testing.assert_array_equal(
        result, np.stack([images[0, :, ::-1], images[1], images[2, :, ::-1]])
    )


NEUTRAL = {
    'rotate': lambda images: augment.rotate(images, 0.0),
    'translate': lambda images: augment.translate(images, (0.0, 0.0)),
    'adjust_brightness': lambda images: augment.adjust_brightness(images, 1.0),
    'adjust_contrast': lambda images: augment.adjust_contrast(images, 1.0),
    'adjust_saturation': lambda images: augment.adjust_saturation(images, 1.0),
    'adjust_hue': lambda images: augment.adjust_hue(images, 0.0),
    'flip': lambda images: augment.flip(images, False),
}


@pytest.mark.parametrize('name', NEUTRAL)
def test_neutral_values_change_no_bit(name, pixels):
    images = _floats(pixels)
    np.testing.assert_array_equal(NEUTRAL[name](images), images)
    np.testing.assert_array_equal(jax.jit(NEUTRAL[name])(images), images)


def test_a_neutral_warp_changes_no_bit(pixels, lowering):
    images = _floats(pixels)
    np.testing.assert_array_equal(
        augment.warp(images, 0.0, (0.0, 0.0), 1.0, lowering=lowering), images
    )


# Pillow rounds to a byte after each part of its way: the grey values, for contrast the mean of
# them, and the result.
@pytest.mark.parametrize('factor', [0.0, 0.4, 0.9, 1.3, 2.0])
@pytest.mark.parametrize(
    ('name', 'enhance', 'roundings'),
    [
        ('brightness', ImageEnhance.Brightness, 1),
        ('contrast', ImageEnhance.Contrast, 2),
        ('saturation', ImageEnhance.Color, 2),
    ],
)
def test_colours_are_pillows(name, enhance, roundings, factor):
    pixels = _photographs()
    expected = (
        np.stack([np.asarray(enhance(Image.fromarray(image)).enhance(factor)) for image in pixels])
        / 255
    )
    actual = getattr(augment, f'adjust_{name}')(_floats(pixels), factor)
    np.testing.assert_allclose(actual, expected, atol=(roundings + 0.01) / 255)


@pytest.mark.parametrize('factor', [-0.5, -0.2, 0.05, 1 / 3, 0.5])
def test_hue_is_that_of_colorsys(factor):
    images = _floats(_photographs()[:, ::6, ::6])
    corners = np.array([[[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]], np.float32)
    for image in [*np.asarray(images), corners]:
        colours = [colorsys.rgb_to_hsv(*map(float, pixel)) for pixel in image.reshape(-1, 3)]
        expected = np.array(
            [colorsys.hsv_to_rgb((h + factor) % 1, s, v) for h, s, v in colours]
        ).reshape(image.shape)
        np.testing.assert_allclose(
            augment.adjust_hue(jnp.asarray(image)[None], factor)[0], expected, atol=3e-6
        )


def test_a_third_of_the_circle_takes_red_to_green():
    red = jnp.zeros((1, 2, 2, 3)).at[..., 0].set(1.0)
    np.testing.assert_allclose(augment.adjust_hue(red, 1 / 3), jnp.roll(red, 1, -1), atol=1e-6)


def test_one_channel_has_neither_hue_nor_saturation():
    images = _floats(_digits())
    np.testing.assert_array_equal(augment.adjust_hue(images, 0.3), images)
    np.testing.assert_array_equal(augment.adjust_saturation(images, 0.3), images)
    mean = images.mean((1, 2, 3), keepdims=True)
    expected = jnp.clip(1.7 * images - 0.7 * jnp.broadcast_to(mean, images.shape), 0, 1)
    np.testing.assert_allclose(augment.adjust_contrast(images, 1.7), expected, atol=1e-6)


def test_invalid_input_is_an_error():
    images = _floats(_digits())
    for call, words in (
        (lambda: augment.rotate(images[0], 0.0), 'must be float'),
        (lambda: augment.translate(jnp.asarray(_digits()), (0, 0)), 'uint8'),
        (lambda: augment.adjust_hue(jnp.zeros((1, 2, 2, 4)), 0.0), '4 channels'),
        (lambda: augment.rotate(images, jnp.zeros(2)), 'scalar or'),
        (
            lambda: augment.augment(jax.random.key(0), images, jnp.eye(3), dict(rotaton=1.0)),
            'rotation',
        ),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_a_warp_after_another_map_is_one_interpolation_of_both(lowering):
    images = _floats(_digits())
    back = jnp.asarray([[[1.1, 0.2, -1.5], [-0.3, 0.9, 0.5]]] * 3)
    actual = augment.warp(images, 0.4, (1.0, -2.0), 1.2, lowering=lowering, back=back)
    middle, (cos, sin) = (np.array(images.shape[1:3]) - 1) / 2, (math.cos(0.4), math.sin(0.4))
    second = np.linalg.inv(1.2 * np.array([[cos, -sin], [sin, cos]]))
    matrix = np.asarray(back[0, :, :2]) @ second
    offset = np.asarray(back[0, :, :2]) @ (-second @ np.array([1.0, -2.0])) + np.asarray(
        back[0, :, 2]
    )
    expected = lambda _, plane: scipy.ndimage.affine_transform(
        plane, matrix, middle + offset - matrix @ middle, **GRID
    )
    np.testing.assert_allclose(actual, _planes(expected, images), atol=2e-5)


# Strengths at which posterising loses 1 to 4 bits.
@pytest.mark.parametrize('strength', [0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize('name', randaugment.OPERATIONS[:8])
def test_tones_of_randaugment_are_pillows(name, strength):
    pixels = _photographs()
    for draw, sign in ((0.2, -1), (0.8, 1)):
        operate = dict(
            identity=lambda image: image,
            brightness=lambda image, f=1 + 0.9 * sign * strength: ImageEnhance.Brightness(
                image
            ).enhance(f),
            contrast=lambda image, f=1 + 0.9 * sign * strength: ImageEnhance.Contrast(
                image
            ).enhance(f),
            saturation=lambda image, f=1 + 0.9 * sign * strength: ImageEnhance.Color(image).enhance(
                f
            ),
            sharpness=lambda image, f=1 + 0.9 * sign * strength: ImageEnhance.Sharpness(
                image
            ).enhance(f),
            autocontrast=lambda image: Image.blend(image, ImageOps.autocontrast(image), strength),
            posterize=lambda image: ImageOps.posterize(image, 8 - round(4 * strength)),
            solarize=lambda image: ImageOps.solarize(image, 256 * (1 - strength)),
        )[name]
        expected = np.stack([np.asarray(operate(Image.fromarray(image))) for image in pixels]) / 255
        actual = _operated(_floats(pixels), name, strength, draw)
        exact = name in ('identity', 'posterize', 'solarize')
        np.testing.assert_allclose(actual, expected, atol=1e-6 if exact else 2.01 / 255)


@pytest.mark.parametrize('name', randaugment.OPERATIONS[8:])
def test_moves_of_randaugment_are_scipys(name):
    images, strength = _floats(_photographs()), 0.8
    height, width = images.shape[1:3]
    middle = (np.array([height, width]) - 1) / 2
    for draw, sign in ((0.2, -1), (0.8, 1)):
        cos, sin = math.cos(math.radians(sign * 24)), math.sin(math.radians(sign * 24))
        matrix, shift = dict(  # of (y, x); where a pixel comes from
            rotate=([[cos, sin], [-sin, cos]], (0, 0)),
            shear_x=([[1, 0], [sign * 0.24, 1]], (0, 0)),
            shear_y=([[1, sign * 0.24], [0, 1]], (0, 0)),
            translate_x=(np.eye(2), (0, sign * 0.8 * 150 / 331 * width)),
            translate_y=(np.eye(2), (sign * 0.8 * 150 / 331 * height, 0)),
        )[name]
        matrix = np.array(matrix)
        offset = middle - matrix @ (middle + shift)
        expected = _planes(
            lambda _, p, m=matrix, o=offset: scipy.ndimage.affine_transform(p, m, o, **GRID), images
        )
        np.testing.assert_allclose(_operated(images, name, strength, draw), expected, atol=3e-5)


@jax.jit
def _randaugmented(images, strength, draws):
    return table._warp(
        AUGMENTATIONS['randaugment'].apply(table.Sample(images, images), strength, draws)
    ).images


def _operated(images, name, strength, draw):
    """One operation of `randaugment`: equal as the first and as the second next to the identity."""
    place = (randaugment.OPERATIONS.index(name) + 0.5) / len(randaugment.OPERATIONS)
    orders = ((place, draw, 0.0, 0.7), (0.0, 0.2, place, draw))
    first, second = (
        _randaugmented(images, strength, jnp.asarray([order] * len(images)).T) for order in orders
    )
    np.testing.assert_allclose(first, second, atol=1e-6)
    return first


def test_two_operations_of_randaugment_are_one_after_the_other():
    images = _floats(_photographs())
    for names in (
        ('brightness', 'solarize'),
        ('posterize', 'contrast'),
        ('contrast', 'rotate'),
        ('solarize',) * 2,
    ):
        places = [
            (randaugment.OPERATIONS.index(name) + 0.5) / len(randaugment.OPERATIONS)
            for name in names
        ]
        draws = jnp.asarray([(places[0], 0.8, places[1], 0.8)] * len(images)).T
        expected = _operated(_operated(images, names[0], 0.7, 0.8), names[1], 0.7, 0.8)
        np.testing.assert_allclose(_randaugmented(images, 0.7, draws), expected, atol=1e-5)


def test_autocontrast_leaves_a_channel_that_is_even_to_a_byte():
    rng = np.random.default_rng(0)
    images = jnp.asarray(0.3 + np.array([1e-3, 8e-3, 0.3]) * rng.random((2, 9, 8, 3)), jnp.float32)
    result = _operated(images, 'autocontrast', 1.0, 0.2)
    np.testing.assert_array_equal(result[..., 0], images[..., 0])
    np.testing.assert_allclose(
        result[..., 1:].max((1, 2)) - result[..., 1:].min((1, 2)), np.ones((2, 2)), atol=1e-5
    )


def test_added_rows_leave_the_draws_of_other_rows():
    before = dict(flip=1, colour=4, rotation=1, translation=2, erasing=8, mixup=2, cutmix=4)
    key, first = jax.random.key(11), 0
    draws = jax.random.uniform(key, (sum(before.values()), 5))
    result = table.draws_of(key, 5)
    for name, count in before.items():
        np.testing.assert_array_equal(result[name], draws[first : first + count])
        first += count
    assert [name for name in AUGMENTATIONS if name in before] == list(before)
    assert (
        len(np.unique(np.concatenate(list(result.values()))))
        > 5 * sum(map(len, result.values())) - 3
    )  # none is shared


def _batch(n=6):
    pixels = load_sample_images().images[0]
    corners = np.random.default_rng(1).integers(0, 380, (n, 2))
    return _floats(np.stack([pixels[y : y + 19, x : x + 17] for y, x in corners])), jnp.eye(n)


def _some(names, strength=None):
    return {name: jnp.float32(STRONG[name] if strength is None else strength) for name in names}


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_strength_0_is_the_identity_alone_and_in_a_group(name):
    images, targets = _batch()
    key = jax.random.key(3)
    alone = jax.jit(augment.augment)(key, images, targets, _some([name], 0))
    np.testing.assert_array_equal(alone[0], images)
    np.testing.assert_array_equal(alone[1], targets)
    strengths = {name: jnp.asarray([0.0, STRONG[name] / 2, STRONG[name]])}
    group = jax.jit(jax.vmap(augment.augment, (None, None, None, 0)))(
        key, images, targets, strengths
    )
    np.testing.assert_array_equal(group[0][0], images)
    np.testing.assert_array_equal(group[1][0], targets)
    assert not np.array_equal(group[0][2], images)


def test_strength_0_is_the_identity_next_to_members_at_full_strength():
    images, targets = _batch()
    strengths = {name: jnp.asarray([[0.0, strength]]) for name, strength in STRONG.items()}
    rows = jax.vmap(jax.vmap(augment.augment, (None, None, None, 0)))
    result = jax.jit(rows)(
        jax.random.split(jax.random.key(3), 1), images[None], targets[None], strengths
    )
    np.testing.assert_array_equal(result[0][0, 0], images)
    np.testing.assert_array_equal(result[1][0, 0], targets)
    assert all(np.isfinite(part).all() for part in result)


def test_a_member_of_a_group_is_the_member_alone():
    images, targets = _batch()
    keys = jax.random.split(jax.random.key(5), 2)
    strengths = {
        name: strength * jnp.linspace(0, 1, 6).reshape(2, 3) for name, strength in STRONG.items()
    }
    rows = jax.vmap(jax.vmap(augment.augment, (None, None, None, 0)), (0, None, None, 0))
    result, single = jax.jit(rows)(keys, images, targets, strengths), jax.jit(augment.augment)
    for row, column in np.ndindex(2, 3):
        member_strengths = {name: strength[row, column] for name, strength in strengths.items()}
        alone = single(keys[row], images, targets, member_strengths)
        for part, whole in zip(alone, result, strict=True):
            # Roundings of 3e-7, which autocontrast of a nearly even channel makes a hundred times
            # as large.
            np.testing.assert_allclose(part, whole[row, column], atol=1e-4)


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_other_augmentations_change_no_draw(name):
    images, targets = _batch()
    key, others = jax.random.key(7), _some(AUGMENTATIONS, 0)
    run = jax.jit(augment.augment)
    alone, among = (
        run(key, images, targets, strengths)
        for strengths in (_some([name]), others | _some([name]))
    )
    for one, other in zip(alone, among, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_parameters_grow_in_proportion_to_the_strength():
    images, targets = _batch()
    sample = table.Sample(images, targets)
    draws = jax.random.uniform(jax.random.key(0), (2, len(images)))
    turned = [AUGMENTATIONS['rotation'].apply(sample, s, draws[:1]).radians for s in (10.0, 20.0)]
    np.testing.assert_array_equal(turned[1], 2 * turned[0])
    assert np.abs(turned[1]).max() <= math.radians(20)
    moved = [
        np.stack(AUGMENTATIONS['translation'].apply(sample, s, draws).shift) for s in (0.125, 0.25)
    ]
    np.testing.assert_array_equal(moved[1], 2 * moved[0])
    assert np.all(np.abs(moved[1]).max(1) <= 0.25 * np.array(images.shape[1:3]))


@pytest.mark.parametrize('name', ['flip', 'erasing', 'cutmix'])
def test_images_changed_at_low_probability_change_equally_at_high_probability(name):
    images, targets = _batch(40)
    result = [augment.augment(jax.random.key(2), images, targets, {name: p})[0] for p in (0.3, 0.7)]
    few, many = (np.any(images != part, (1, 2, 3)) for part in result)
    assert 0 < few.sum() < many.sum() < 40
    np.testing.assert_array_equal(result[1][few], result[0][few])


@pytest.mark.parametrize('alpha', [0.1, 0.5, 1.0, 4.0])
def test_shares_of_mixup_are_of_the_folded_beta(alpha):
    draws = jax.random.uniform(jax.random.key(0), (2, 4000))
    share = np.asarray(table.partner_share(jnp.float32(alpha), draws), np.float64)
    assert np.all((share >= 0) & (share <= 0.5))
    assert (
        scipy.stats.kstest(share, lambda x: 2 * scipy.stats.beta(alpha, alpha).cdf(x)).statistic
        < 0.03
    )
    assert np.all(
        np.asarray(table.partner_share(jnp.float32(2 * alpha), draws)) >= share - 1e-6
    )  # the same draws


def test_shares_of_mixup_are_finite_and_0_at_0():
    draws = jnp.asarray([[0.0, 1e-30, 0.5, 1 - 2**-24], [0.25, 0.0, 0.75, 0.5]])
    for alpha in (1e-30, 1e-3, 1e3, 1e30):
        share = table.partner_share(jnp.float32(alpha), draws)
        assert np.all((share >= 0) & (share <= 0.5))
    for alpha in (0.0, -0.0):
        np.testing.assert_array_equal(table.partner_share(jnp.float32(alpha), draws), jnp.zeros(4))


@pytest.mark.parametrize('names', [['mixup'], ['cutmix'], ['mixup', 'cutmix']])
def test_targets_are_the_mixture_in_the_pixels(names):
    n = 7
    images = jnp.broadcast_to(jnp.eye(n)[:, None, None], (n, 9, 10, n))  # image i is channel i
    mixed_images, targets = augment.augment(jax.random.key(4), images, jnp.eye(n), _some(names))
    np.testing.assert_allclose(targets, mixed_images.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(targets.sum(-1), np.ones(n), atol=1e-6)
    assert np.all(targets >= 0)
    assert not np.array_equal(targets, jnp.eye(n))


def test_cutmix_counts_the_pixels_of_the_box():
    images, targets = jnp.zeros((2, 6, 8, 1)).at[1].set(1.0), jnp.eye(2)
    mixed_images, mixed = augment.cutmix(images, targets, augment.Box(1, 2, 4, jnp.asarray([7, 2])))
    assert mixed_images[0].sum() == 15
    assert np.all(mixed_images[0, 1:4, 2:7] == 1)
    assert np.all(mixed_images[1] == 1)
    np.testing.assert_allclose(mixed, [[33 / 48, 15 / 48], [0, 1]], atol=1e-7)


def test_erasing_paints_one_box_in_one_colour():
    images, targets = _batch(30)
    result, same = augment.augment(jax.random.key(1), images, targets, dict(erasing=1.0))
    np.testing.assert_array_equal(same, targets)
    for before, after in zip(np.asarray(images), np.asarray(result), strict=True):
        changed = np.any(before != after, -1)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        box = after[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].reshape(-1, 3)
        assert np.all(box == box[0])
        assert changed.sum() >= 0.9 * len(box)
        assert 0.01 < len(box) / changed.size < 0.45


def test_other_strengths_need_no_other_program():
    images, targets = _batch()
    traces = []

    @jax.jit
    def run(strengths):
        traces.append(1)
        return augment.augment(jax.random.key(0), images, targets, strengths)

    for share in (0.0, 0.3, 1.0):
        result = run({name: jnp.float32(share * strength) for name, strength in STRONG.items()})
        assert all(
            np.isfinite(part).all() and part.min() >= 0 and part.max() <= 1 + 1e-6
            for part in result
        )
    assert len(traces) == 1


def test_no_augmentation_is_the_identity():
    images, targets = _batch()
    assert augment.augment(jax.random.key(0), images, targets, {}) == (images, targets)


@pytest.mark.parametrize('source', ['photographs', 'digits'])
def test_the_contact_sheet_shows_every_row(source):
    pixels = _floats(REAL[source]())
    sheet, again = augment.contact_sheet(pixels), augment.contact_sheet(pixels)
    assert list(sheet) == list(AUGMENTATIONS)
    for name, images in sheet.items():
        assert images.shape == pixels.shape
        assert 0 <= images.min() <= images.max() <= 1 + 1e-6
        assert not np.array_equal(images, pixels), name
        np.testing.assert_array_equal(images, again[name])
