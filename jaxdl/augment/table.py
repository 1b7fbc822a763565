"""Table of augmentations: meaning of a strength, and parameters from uniform draws per image.

A strength scales draws that do not depend on the strength, so members with one seed and different
strengths share the noise.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.augment import colour, geometry, mixing, randaugment
from jaxdl.augment.mixing import Box
from jaxdl.errors import unknown

SEED = 0  # of the contact sheet


class Sample(NamedTuple):
    """A batch during augmentation; one interpolation applies `back`, `radians` and `shift`."""

    images: jax.Array
    targets: jax.Array
    radians: jax.Array | float | None = None
    shift: tuple[jax.Array | float, jax.Array | float] | None = None
    back: jax.Array | None = None


class Augmentation(NamedTuple):
    """A row of AUGMENTATIONS.

    Attributes:
      meaning: meaning of the strength.
      most: largest strength.
      displayed: strength of the contact sheet.
      draws: uniform draws per image.
      apply: function (sample, strength, draws float [draws, n] in [0, 1)) -> sample.
      added: 0, or the number of the later addition to the table; added rows take their draws after
        those of all other rows, which therefore keep their noise.
    """

    meaning: str
    most: float
    displayed: float
    draws: int
    apply: Callable[[Sample, Any, jax.Array], Sample]
    added: int = 0


# Those of a user's own: name -> (key, images [n, height, width, channel] in [0, 1], strength) ->
# images, the identity at 0. A variant names one or several in its field `augmentation`.
OWN: dict[str, Callable[[jax.Array, jax.Array, Any], jax.Array]] = {
    'none': lambda key, images, strength: images
}


def augment(
    key: jax.Array,
    images: jax.Array,
    targets: jax.Array,
    strengths: Mapping[str, jax.Array | float],
) -> tuple[jax.Array, jax.Array]:
    """Apply the augmentations named in `strengths`: a user's own in order, then the table's rows.

    Args:
      key: random key.
      images: float [n, height, width, channel] in [0, 1].
      targets: float [n, classes].
      strengths: name -> scalar; names are static, strengths may be traced. An absent name costs
        nothing
        and changes no draw of the others.

    Returns:
      Images and targets of the same shapes.

    Raises:
      InputError: a name is not in the table.
    """
    for name in strengths:
        if name not in (*AUGMENTATIONS, *OWN):
            raise unknown('augmentation', name, (*AUGMENTATIONS, *OWN))
    if not strengths:
        return images, targets
    # Those of a user meet images before the rows of the table, and no draw of these.
    for number, name in enumerate((name for name in strengths if name in OWN), 1):
        strength = jnp.asarray(strengths[name], jnp.float32)
        images = OWN[name](jax.random.fold_in(key, number), images, strength)
    sample, draws = Sample(images, targets), draws_of(key, len(images))
    for name, row in AUGMENTATIONS.items():
        if name in strengths:
            sample = row.apply(sample, jnp.asarray(strengths[name], jnp.float32), draws[name])
    sample = _warp(sample)
    return sample.images, sample.targets


def draws_of(key: jax.Array, n: int) -> dict[str, jax.Array]:
    """Draws of every row for `n` images: name -> float [draws, n]."""
    # One call for all rows: each would cost its own loop of threefry, in compiling and in running.
    draws = jax.random.uniform(key, (sum(row.draws for row in AUGMENTATIONS.values()), n))
    draws_by_name, first = {}, 0
    for name, row in sorted(AUGMENTATIONS.items(), key=lambda item: item[1].added):
        draws_by_name[name], first = draws[first : first + row.draws], first + row.draws
    return draws_by_name


def contact_sheet(images: jax.Array) -> dict[str, jax.Array]:
    """Apply each augmentation alone, at its strength for display and with fixed noise.

    Args:
      images: float [n, height, width, channel], in [0, 1].

    Returns:
      name -> images of the same shape and range.
    """
    key, targets = jax.random.key(SEED), jnp.zeros((len(images), 1))
    return {
        name: augment(key, images, targets, {name: row.displayed})[0]
        for name, row in AUGMENTATIONS.items()
    }


def _warp(sample: Sample) -> Sample:
    if sample.radians is None and sample.shift is None and sample.back is None:
        return sample
    radians = 0.0 if sample.radians is None else sample.radians
    shift = (0.0, 0.0) if sample.shift is None else sample.shift
    images = geometry.warp(
        sample.images, radians, shift, lowering=geometry.fastest_lowering(), back=sample.back
    )
    return Sample(images, sample.targets)


def _draw_sign(draws: jax.Array) -> jax.Array:
    return 2 * draws - 1


def _flip(sample: Sample, strength: jax.Array, draws: jax.Array) -> Sample:
    return sample._replace(images=geometry.flip(sample.images, draws[0] < strength))


def _colour(sample: Sample, strength: jax.Array, draws: jax.Array) -> Sample:
    change = strength * _draw_sign(draws)
    brightness, contrast, saturation = 1 + change[:3]
    images = colour.jitter(sample.images, brightness, contrast, saturation, change[3] / 4)
    return sample._replace(images=images)


def _randaugment(sample: Sample, strength: jax.Array, draws: jax.Array) -> Sample:
    images, back = randaugment.randaugment(sample.images, strength, draws)
    return sample._replace(images=images, back=back)


def _rotation(sample: Sample, strength: jax.Array, draws: jax.Array) -> Sample:
    return sample._replace(radians=math.pi / 180 * strength * _draw_sign(draws[0]))


def _translation(sample: Sample, strength: jax.Array, draws: jax.Array) -> Sample:
    height, width = sample.images.shape[1:3]
    down, right = strength * _draw_sign(draws)
    return sample._replace(shift=(height * down, width * right))


def _erasing(sample: Sample, strength: jax.Array, draws: jax.Array) -> Sample:
    """Box of Zhong et al.: 2 to 40 % of the area, aspect 0.3 to 1 / 0.3, one random colour."""
    sample = _warp(sample)
    height, width, channels = sample.images.shape[1:]
    share, aspect = 0.02 + 0.38 * draws[1], jnp.exp(math.log(0.3) * _draw_sign(draws[2]))
    high = jnp.clip(jnp.round(height * jnp.sqrt(share * aspect)), 1, height)
    wide = jnp.clip(jnp.round(width * jnp.sqrt(share / aspect)), 1, width)
    top, left = jnp.floor(draws[3] * (height - high + 1)), jnp.floor(draws[4] * (width - wide + 1))
    box = Box(top, left, jnp.where(draws[0] < strength, top + high, top), left + wide)
    fill = draws[5:].T[:, jnp.arange(channels) % 3]
    return sample._replace(images=mixing.erase(sample.images, box, fill))


def _mixup(sample: Sample, strength: jax.Array, draws: jax.Array) -> Sample:
    sample = _warp(sample)
    images, targets = mixing.mixup(sample.images, sample.targets, partner_share(strength, draws))
    return sample._replace(images=images, targets=targets)


def partner_share(alpha: jax.Array, draws: jax.Array) -> jax.Array:
    """The smaller of l and 1 - l for l ~ Beta(alpha, alpha); exactly 0 at alpha 0.

    Bailey's polar method (Devroye 1996, Random variate generation in one line of code) has no
    rejection, so the share of a draw is a continuous function of alpha.

    Args:
      alpha: parameter of the beta distribution, may be traced.
      draws: uniform [2, n].

    Returns:
      float [n] in [0, 0.5].
    """
    power = jnp.log(draws[0]) / alpha
    near, far = jnp.exp(power), -jnp.expm1(power) * jnp.square(jnp.cos(2 * math.pi * draws[1]))
    rest = near / (
        near + far
    )  # 1 - (2 l - 1)^2: small shares without a difference of nearly equal numbers
    return jnp.where(alpha > 0, 0.5 * rest / (1 + jnp.sqrt(1 - rest)), 0.0)


def _cutmix(sample: Sample, strength: jax.Array, draws: jax.Array) -> Sample:
    """Box of Yun et al.: area uniform in [0, 1], centre uniform, cut off at the edges."""
    sample = _warp(sample)
    height, width = sample.images.shape[1:3]
    half = 0.5 * jnp.sqrt(draws[1])

    def edges(size: int, centre: jax.Array) -> tuple[jax.Array, jax.Array]:
        low, high = jnp.clip(centre - half, 0.0, 1.0), jnp.clip(centre + half, 0.0, 1.0)
        return jnp.round(size * low), jnp.round(size * high)

    (top, bottom), (left, right) = edges(height, draws[2]), edges(width, draws[3])
    box = Box(top, left, jnp.where(draws[0] < strength, bottom, top), right)
    images, targets = mixing.cutmix(sample.images, sample.targets, box)
    return sample._replace(images=images, targets=targets)


# In the order in which they are done: before the turn an image has its own mean colour, no black
# corners.
AUGMENTATIONS: dict[str, Augmentation] = {
    'flip': Augmentation('probability that left and right are swapped', 1.0, 1.0, 1, _flip),
    'colour': Augmentation(
        'largest change of brightness, contrast and saturation factors; a quarter of it, '
        'in turns, for hue',
        1.0,
        0.5,
        4,
        _colour,
    ),
    'randaugment': Augmentation(
        'magnitude of two operations an image, a tenth of the scale of 10',
        1.0,
        0.9,
        randaugment.DRAWS,
        _randaugment,
        added=1,
    ),
    'rotation': Augmentation('largest angle, degrees', 180.0, 30.0, 1, _rotation),
    'translation': Augmentation('largest shift, share of the side', 1.0, 0.2, 2, _translation),
    'erasing': Augmentation(
        'probability that a box is painted over in one colour', 1.0, 1.0, 8, _erasing
    ),
    'mixup': Augmentation(
        'alpha: the shares of two images are of Beta(alpha, alpha)', math.inf, 1.0, 2, _mixup
    ),
    'cutmix': Augmentation('probability that a box comes from another image', 1.0, 1.0, 4, _cutmix),
}
