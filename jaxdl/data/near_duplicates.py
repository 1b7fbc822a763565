"""Which images are nearly the same: a perceptual hash of each, pairs of hashes that differ little.

Their clusters.
"""

import hashlib
import weakref
from collections.abc import Iterator

import numpy as np

from jaxdl.errors import InputError

SMALLEST = (
    32  # pixels a side: below that, what is left of a picture is its kind (every 7 looks like a 7)
)
DISTANCE = 80  # of 256 bits
COARSE = 16  # of the first 64 bits, those of the coarsest structure, at `DISTANCE`
FLAT = 0.01  # of the range of values: a standard deviation below is noise on a blank image
MOST = 200  # pairs an image, on average
_BITS, _WORDS = 256, 4
_CHUNK, _TILE = (
    256,
    (64, 4096),
)  # images hashed at once; hashes compared at once, small enough for a cache

_FOUND: list[tuple[weakref.ref[np.ndarray], np.ndarray]] = []


def checkable(images: np.ndarray) -> bool:
    """Whether images [n, height, width.

    Channel] are large enough for their hashes to mean anything.
    """
    return min(images.shape[1:3]) >= SMALLEST


def hashes(images: np.ndarray) -> np.ndarray:
    """A perceptual hash of each image [n, height, width, channel]: uint64 [n, 4].

    All 0 for a flat image.

    The 256 lowest frequencies (without the mean) of the grey image at 32 x 32 pixels, each a bit:
    whether it is above their median (Zauner 2010, pHash, with four times the bits). Brightness and
    contrast, compression and size hardly change them; a shift or a turn soon does.
    """
    n, height, width, channels = images.shape
    scale = 255 if images.dtype == np.uint8 else float(np.ptp(images)) if n else 1
    down, across = _frequencies(height), np.repeat(_frequencies(width), channels, axis=1) / channels
    found = np.zeros((n, _WORDS), np.uint64)
    for start in range(0, n, _CHUNK):
        rows = (
            np.asarray(images[start : start + _CHUNK], np.float32).reshape(-1, width * channels)
            @ across.T
        )
        coefficients = (down @ rows.reshape(-1, height, rows.shape[1]))[:, *_square()]
        bits = coefficients > np.median(coefficients, axis=1, keepdims=True)
        bits[np.sqrt((coefficients**2).sum(1)) < FLAT * scale * SMALLEST] = False
        found[start : start + _CHUNK] = np.ascontiguousarray(np.packbits(bits, axis=1)).view(
            np.uint64
        )
    return found


def pairs(hashes: np.ndarray, distance: int = DISTANCE) -> np.ndarray:
    """All pairs of `hashes` that are alike, int64 [k, 2], the first less than the second.

    In ascending order.

    Alike: at most `distance` of all bits differ, and in proportion at most COARSE of the first 64.
      A hash of zeros is
    like none. InputError past MOST pairs an image: then `alike` says nothing of these images.
    """
    textured = np.flatnonzero(hashes.any(axis=1))
    words = np.ascontiguousarray(hashes[textured].T)
    found, count = [np.zeros((0, 2), np.int64)], 0
    for one, other in _candidates(words[0], COARSE * distance // DISTANCE):
        near = np.bitwise_count(words[:, one] ^ words[:, other]).sum(0, dtype=np.int64) <= distance
        found.append(np.stack([textured[one[near]], textured[other[near]]], axis=1))
        count += len(found[-1])
        if count > MOST * len(hashes):
            raise InputError(
                f'more than {MOST} near-duplicates for each of {len(hashes):,} images: they are too alike to be '
                'told apart by a perceptual hash; name what belongs together, as in --set=group_column=shop'
            )
    together = np.concatenate(found)
    return together[np.lexsort((together[:, 1], together[:, 0]))]


def keys(images: np.ndarray) -> np.ndarray:
    """A digest of each image's pixels, str [n]: equal where the images [n, ...] are equal."""
    return np.array(
        [hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images]
    )


def clusters(n: int, pairs: np.ndarray) -> np.ndarray:
    """The cluster of each of `n` images, int32 [n]: those that a chain of pairs [k, 2] joins."""
    from scipy import sparse

    links = sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return sparse.csgraph.connected_components(links, directed=False)[1]


def groups(images: np.ndarray) -> np.ndarray:
    """The cluster of each image [n, height, width, channel], int32 [n].

    The equal ones and the alike together.
    """
    _, same = np.unique(keys(images), return_inverse=True)
    order = np.argsort(same, kind='stable')
    equal = same[order[:-1]] == same[order[1:]]
    twins = np.stack([order[:-1][equal], order[1:][equal]], axis=1)
    return clusters(len(images), np.concatenate([twins, alike(images)]))


def alike(images: np.ndarray) -> np.ndarray:
    """`pairs` of the hashes of `images`, found once for an array.

    Splits under many seeds ask for the same.
    """
    kept = next((found for array, found in _FOUND if array() is images), None)
    if kept is None:
        kept = pairs(hashes(images))
        _FOUND[:] = [(weakref.ref(images), kept), *_FOUND[:1]]
    return kept


def _frequencies(side: int) -> np.ndarray:
    """The first cosines of a side averaged to 32 pixels: float32 [frequency, side].

    Orthonormal on those 32.
    """
    from scipy import fft

    edges = np.linspace(0, side, SMALLEST + 1)
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    average = np.maximum(overlap, 0) * (SMALLEST / side)
    cosines = np.asarray(fft.dct(np.eye(SMALLEST), axis=0, norm='ortho'))
    return (cosines[:17] @ average).astype(np.float32)


def _square() -> tuple[np.ndarray, np.ndarray]:
    """The lowest frequencies, coarsest first: squares around the mean, which is left out."""
    down, across = np.indices((17, 17)).reshape(2, -1)
    order = np.lexsort((across, down, np.maximum(down, across)))[1 : _BITS + 1]
    return down[order], across[order]


def _candidates(words: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Index pairs (one < other) of `words` [n] that differ in `most` bits or fewer.

    A tile of the square at a time.
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
