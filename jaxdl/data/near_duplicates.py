"""Near-duplicates: perceptual hashes of images, pairs of similar images, and their clusters.

A hash tells apart photographs whose large shapes differ. Objects on a plain background all have the
same large shapes, such as garments of one cut, so that their pairs are compared by pixels as well.
"""

import hashlib
import math
import weakref
from collections.abc import Callable, Iterator

import numpy as np

from jaxdl.errors import InputError

# Pixels per side. Smaller images of one class have similar hashes.
SMALLEST = 32
DISTANCE = 80  # most bits of 256 that differ between near-duplicates
COARSE = 16  # most bits of the first 64 (the lowest frequencies) that differ, at `DISTANCE`
FLAT = 0.01  # share of the range of values: a smaller standard deviation is a blank image
MOST = 200  # pairs per image, on average
BORDER = 2  # pixels of a thumbnail
PLAIN, SHARE = 0.06, 0.8  # largest deviation from the median, and the share of pixels within it
RESIDUAL = 0.05  # share of the variance that near-duplicates on a plain background do not share
COARSE_RESIDUAL = 0.2  # the same of thumbnails at a fourth of their side, unshifted
GAIN = 1.7  # largest change of contrast
SHIFT = 2  # pixels of a thumbnail
_BITS, _WORDS = 256, 4
_CHUNK, _TILE = 256, (64, 4096)  # images hashed at once; hashes compared at once, in cache
_COMPARED = 1024  # pairs of thumbnails compared at once

# (smaller indices, larger indices) of pairs -> which of them are similar
Confirm = Callable[[np.ndarray, np.ndarray], np.ndarray]

_RECENT: list[tuple[weakref.ref[np.ndarray], np.ndarray]] = []


def is_checkable(images: np.ndarray) -> bool:
    """Whether images [n, height, width, channel] are large enough for hashes that mean anything."""
    return min(images.shape[1:3]) >= SMALLEST


def compute_hashes(images: np.ndarray) -> np.ndarray:
    """Compute a perceptual hash of each image.

    A bit per frequency: whether it is above the median of the 256 lowest frequencies (without the
    mean) of the grey image at 32 x 32 pixels (Zauner 2010, pHash, with four times the bits).
    Brightness, contrast, compression and size hardly change the hash. A shift or a rotation does.

    Args:
      images: [n, height, width, channel].

    Returns:
      uint64 [n, 4]; 0 for a blank image.
    """
    n, height, width, channels = images.shape
    scale = 255 if images.dtype == np.uint8 else float(np.ptp(images)) if n else 1
    down, across = _frequencies(height), np.repeat(_frequencies(width), channels, axis=1) / channels
    words = np.zeros((n, _WORDS), np.uint64)
    for start in range(0, n, _CHUNK):
        rows = (
            np.asarray(images[start : start + _CHUNK], np.float32).reshape(-1, width * channels)
            @ across.T
        )
        coefficients = (down @ rows.reshape(-1, height, rows.shape[1]))[:, *_square()]
        bits = coefficients > np.median(coefficients, axis=1, keepdims=True)
        bits[np.sqrt((coefficients**2).sum(1)) < FLAT * scale * SMALLEST] = False
        words[start : start + _CHUNK] = np.ascontiguousarray(np.packbits(bits, axis=1)).view(
            np.uint64
        )
    return words


def find_pairs(
    hashes: np.ndarray, distance: int = DISTANCE, confirm: Confirm | None = None
) -> np.ndarray:
    """Find all pairs of similar hashes.

    Two hashes are similar if at most `distance` of all bits differ, and of the first 64 at most
    COARSE, in proportion. A hash of zeros is similar to none.

    Args:
      hashes: uint64 [n, 4].
      distance: most bits of 256 that differ.
      confirm: a second comparison, of the pairs with similar hashes.

    Returns:
      int64 [k, 2], the smaller index first, in ascending order.

    Raises:
      InputError: there are more than MOST pairs per image, so similarity means nothing.
    """
    textured = np.flatnonzero(hashes.any(axis=1))
    words = np.ascontiguousarray(hashes[textured].T)
    blocks, count = [np.zeros((0, 2), np.int64)], 0
    for one, other in _candidates(words[0], COARSE * distance // DISTANCE):
        near = np.bitwise_count(words[:, one] ^ words[:, other]).sum(0, dtype=np.int64) <= distance
        one, other = textured[one[near]], textured[other[near]]
        if confirm is not None:
            confirmed = confirm(one, other)
            one, other = one[confirmed], other[confirmed]
        blocks.append(np.stack([one, other], axis=1))
        count += len(blocks[-1])
        if count > MOST * len(hashes):
            raise InputError(
                f'more than {MOST} near-duplicates for each of {len(hashes):,} images: '
                'a perceptual hash cannot distinguish them; '
                'name the groups, as in --set=group_column=shop'
            )
    similar = np.concatenate(blocks)
    return similar[np.lexsort((similar[:, 1], similar[:, 0]))]


def compare_pixels(images: np.ndarray) -> Confirm:
    """Make the comparison of pairs by the pixels of images on a plain background.

    A background is plain if SHARE of the border of the thumbnail of 32 x 32 pixels is within PLAIN
    of its median in all channels. Two such images are similar if a change of brightness and
    contrast and a shift of at most SHIFT pixels of the thumbnail make one of the other, but for
    RESIDUAL of the variance. A pair with another background is always similar.

    Args:
      images: [n, height, width, channel].

    Returns:
      A function of the smaller and the larger indices of pairs, which gives bool [pair].
    """
    n, _, _, channels = images.shape
    low, scale = 0.0, 255.0
    if images.dtype != np.uint8 and n:
        low, scale = float(images.min()), max(float(np.ptp(images)), 1e-12)
    # Filled for the images of pairs alone: most photographs have no similar hash.
    thumbnails = np.zeros((n, SMALLEST, SMALLEST, channels), np.uint8)
    plain, missing = np.zeros(n, bool), np.ones(n, bool)

    def confirm(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        paired = np.unique(np.concatenate([one, other]))
        paired = paired[missing[paired]]
        for start in range(0, len(paired), _CHUNK):
            rows = paired[start : start + _CHUNK]
            thumbnails[rows] = _make_thumbnails(images[rows], low, scale)
            plain[rows], missing[rows] = _has_plain_border(thumbnails[rows]), False
        similar = np.ones(len(one), bool)
        both = np.flatnonzero(plain[one] & plain[other])
        for start in range(0, len(both), _COMPARED):
            rows = both[start : start + _COMPARED]
            first, second = thumbnails[one[rows]], thumbnails[other[rows]]
            near = _residual(_shrink(first), _shrink(second), 0) < COARSE_RESIDUAL
            near[near] = _residual(first[near], second[near], SHIFT) < RESIDUAL
            similar[rows] = near
        return similar

    return confirm


def digest_pixels(images: np.ndarray) -> np.ndarray:
    """Digest of the pixels of each image [n, ...]: str [n], equal where the images are equal."""
    return np.array(
        [hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images]
    )


def number_clusters(n: int, pairs: np.ndarray) -> np.ndarray:
    """Number the clusters of `n` images joined by chains of pairs [k, 2]: int32 [n]."""
    from scipy import sparse

    links = sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return sparse.csgraph.connected_components(links, directed=False)[1]


def group_images(images: np.ndarray) -> np.ndarray:
    """Number the clusters of equal and similar images [n, height, width, channel]: int32 [n]."""
    _, same = np.unique(digest_pixels(images), return_inverse=True)
    order = np.argsort(same, kind='stable')
    equal = same[order[:-1]] == same[order[1:]]
    twins = np.stack([order[:-1][equal], order[1:][equal]], axis=1)
    return number_clusters(len(images), np.concatenate([twins, find_similar(images)]))


def find_similar(images: np.ndarray) -> np.ndarray:
    """Find the pairs of similar images; computed once per array, since every split needs them."""
    similar = next((result for array, result in _RECENT if array() is images), None)
    if similar is None:
        similar = find_pairs(compute_hashes(images), confirm=compare_pixels(images))
        _RECENT[:] = [(weakref.ref(images), similar), *_RECENT[:1]]
    return similar


def _make_thumbnails(images: np.ndarray, low: float, scale: float) -> np.ndarray:
    """Images averaged to 32 x 32 pixels, `low` to `low + scale` as 0 to 255: uint8."""
    down, across = (_averages(side).astype(np.float32) for side in images.shape[1:3])
    pixels = np.asarray(images, np.float32) - np.float32(low)
    rows = np.tensordot(pixels, across.T, axes=(2, 0))  # [n, height, channel, 32]
    averaged = np.tensordot(rows, down.T, axes=(1, 0))  # [n, channel, 32, 32]
    return np.rint(averaged.transpose(0, 3, 2, 1) * 255 / scale).astype(np.uint8)


def _has_plain_border(thumbnails: np.ndarray) -> np.ndarray:
    """Whether the border of each thumbnail has hardly more than one colour: bool [n]."""
    border = np.ones((SMALLEST, SMALLEST), bool)
    border[BORDER:-BORDER, BORDER:-BORDER] = False
    pixels = thumbnails[:, border].astype(np.float32) / 255  # [n, pixel, channel]
    deviation = np.abs(pixels - np.median(pixels, axis=1, keepdims=True)).max(-1)
    return (deviation <= PLAIN).mean(1) >= SHARE


def _shrink(thumbnails: np.ndarray) -> np.ndarray:
    """Thumbnails at a fourth of their side: float32 [n, 8, 8, channel]."""
    n, side, _, channels = thumbnails.shape
    blocks = thumbnails.reshape(n, side // 4, 4, side // 4, 4, channels)
    return blocks.mean((2, 4), dtype=np.float32)


def _residual(first: np.ndarray, second: np.ndarray, shift: int) -> np.ndarray:
    """Share of the variance that two images do not share, at the best shift: float [pair].

    It is 1 where only another contrast than that of GAIN makes one of the other.
    """
    side = first.shape[1]
    inner = slice(shift, side - shift)
    one = _centre(first[:, inner, inner])
    least = np.ones(len(first))
    for down in range(2 * shift + 1):
        for right in range(2 * shift + 1):
            size = side - 2 * shift
            other = _centre(second[:, down : down + size, right : right + size])
            product = np.einsum('ij,ij->i', one, other)
            squares = np.einsum('ij,ij->i', one, one), np.einsum('ij,ij->i', other, other)
            gain = product / np.maximum(squares[0], 1e-9)
            residual = 1 - product**2 / np.maximum(squares[0] * squares[1], 1e-9)
            valid = (gain > 1 / GAIN) & (gain < GAIN)
            least = np.where(valid, np.minimum(least, residual), least)
    return least


def _centre(images: np.ndarray) -> np.ndarray:
    """Pixels of each image less their mean: float32 [n, pixel and channel]."""
    flat = images.reshape(len(images), math.prod(images.shape[1:])).astype(np.float32)
    return flat - flat.mean(1, keepdims=True)


def _averages(side: int) -> np.ndarray:
    """Matrix that averages a side to 32 pixels: [32, side]."""
    edges = np.linspace(0, side, SMALLEST + 1)
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(overlap, 0) * (SMALLEST / side)


def _frequencies(side: int) -> np.ndarray:
    """Lowest cosines of a side that is averaged to 32 pixels: float32 [frequency, side].

    They are orthonormal on the 32 pixels.
    """
    from scipy import fft

    cosines = np.asarray(fft.dct(np.eye(SMALLEST), axis=0, norm='ortho'))
    return (cosines[:17] @ _averages(side)).astype(np.float32)


def _square() -> tuple[np.ndarray, np.ndarray]:
    """Indices of the lowest frequencies, lowest first, by squares around the mean, without it."""
    down, across = np.indices((17, 17)).reshape(2, -1)
    order = np.lexsort((across, down, np.maximum(down, across)))[1 : _BITS + 1]
    return down[order], across[order]


def _candidates(words: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield index pairs (one < other) of `words` [n] that differ in at most `most` bits.

    Each item covers one tile of the square of all pairs.
    """
    rows, columns = _TILE
    for top in range(0, len(words), rows):
        for left in range(top, len(words), columns):
            differ = np.bitwise_count(
                words[top : top + rows, None] ^ words[None, left : left + columns]
            )
            one, other = np.divmod(np.flatnonzero(differ <= most), differ.shape[1])
            one, other = one + top, other + left
            yield one[one < other], other[one < other]
