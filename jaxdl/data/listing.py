"""What a source gives: labelled images, decoded or still in their files."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np

Undecoded = pathlib.Path | bytes


@dataclasses.dataclass(frozen=True)
class Listing:
    """Labelled images as a source lists them, before any file is decoded.

    images: paths or encoded bytes [n], or an array [n, height, width, channel] (uint8, or float32
      taken as it is).
    labels: int32 [n]. ids: [n], unique, as the source names them. parts: `train`, `val` or `test`
      [n] where the source
    fixes them. groups: [n], a name shared by images that belong together (one shop, one series).
    """

    name: str
    description: str
    images: Sequence[Undecoded] | np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    parts: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    def take(self, indices: Sequence[int] | np.ndarray) -> 'Listing':
        """The listing of these images only, in this order; the classes stay."""
        chosen = [int(i) for i in indices]
        images = (
            self.images[chosen]
            if isinstance(self.images, np.ndarray)
            else [self.images[i] for i in chosen]
        )
        ids, parts, groups = (
            v and tuple(v[i] for i in chosen) for v in (self.ids, self.parts, self.groups)
        )
        return dataclasses.replace(
            self,
            images=images,
            labels=self.labels[chosen],
            ids=ids or (),
            parts=parts,
            groups=groups,
        )


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images: [n, height, width, channel] uint8 (or float32, taken as it is).

    Labels int32 [n], an id [n].

    `parts` and `groups` as in Listing. `digests`: of the bytes of each image's file, [n], empty
    where there are no files. `skipped`: the ids that could not be decoded and were left out, each
    with the reason.
    """

    name: str
    description: str
    images: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    parts: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    digests: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    def checksum(self) -> str:
        """SHA-256 of the images and labels: the same bytes give the same run."""
        digest = hashlib.sha256()
        for start in range(
            0, len(self.images), 1024
        ):  # an array on disk is never in memory as a whole
            digest.update(np.ascontiguousarray(self.images[start : start + 1024]).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()
