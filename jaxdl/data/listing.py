"""Labelled images: as a source lists them, and decoded."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

Undecoded = pathlib.Path | bytes
NAMED = 20  # examples of a note


@dataclasses.dataclass(frozen=True)
class Note:
    """Files, images or names that were left out, guessed or renamed while a source was read.

    Attributes:
      finding: the rule, in words.
      count: number of cases.
      examples: names of the first cases.
    """

    finding: str
    count: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = ', '.join(self.examples[:3]) + ', ...' * (len(self.examples) > 3)
        return f'{self.finding}: {self.count:,}' + (f' ({names})' if names else '')


def note(finding: str, cases: Iterable[str]) -> tuple[Note, ...]:
    """The note of a finding with all its cases; none without a case."""
    cases = tuple(cases)
    return (Note(finding, len(cases), cases[:NAMED]),) if cases else ()


@dataclasses.dataclass(frozen=True)
class Listing:
    """Labelled images as a source lists them, before any file is decoded.

    Attributes:
      name: the source, as the user names it.
      description: source, number of images and classes in words.
      images: paths or encoded bytes [n], or an array [n, height, width, channel] (uint8, or float32
        that is used as it is).
      labels: int32 [n].
      ids: [n], unique, as the source names the images.
      class_names: [classes].
      parts: `train`, `val` or `test` [n] where the source fixes the split.
      groups: [n], a name shared by images that belong together (one shop, one burst).
      fractions: shares of train, val and test of the source's own split, all above 0.
      roles: `fit` or `test` [n], for a source whose test images follow another distribution: an
        image of the role `fit` is used in train and val only, of the role `test` in test only. Such
        a source has groups, and images of both roles in each.
      notes: things that were left out, guessed or renamed.
    """

    name: str
    description: str
    images: Sequence[Undecoded] | np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    parts: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    fractions: tuple[float, ...] | None = None
    roles: tuple[str, ...] | None = None
    notes: tuple[Note, ...] = ()

    def take(self, indices: Sequence[int] | np.ndarray) -> 'Listing':
        """Select images, in this order; the classes stay."""
        chosen = [int(i) for i in indices]
        images = (
            self.images[chosen]
            if isinstance(self.images, np.ndarray)
            else [self.images[i] for i in chosen]
        )
        ids, parts, groups, roles = (
            v and tuple(v[i] for i in chosen)
            for v in (self.ids, self.parts, self.groups, self.roles)
        )
        return dataclasses.replace(
            self,
            images=images,
            labels=self.labels[chosen],
            ids=ids or (),
            parts=parts,
            groups=groups,
            roles=roles,
        )


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images in memory, or mapped from the cache on disk.

    Attributes:
      name: as in `Listing`.
      description: as in `Listing`.
      class_names: as in `Listing`.
      parts: as in `Listing`.
      groups: as in `Listing`.
      images: uint8 [n, height, width, channel], or float32 that is used as it is.
      labels: int32 [n].
      ids: [n], unique.
      digests: SHA-256 of the bytes of each image's file [n]; empty where there are no files.
      skipped: (id, reason) of each image that cannot be decoded and is left out.
      fractions: as in `Listing`.
      roles: as in `Listing`.
      notes: as in `Listing`.
      fit: how files became square images, a row of `decode.FITS`.
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
    fractions: tuple[float, ...] | None = None
    roles: tuple[str, ...] | None = None
    notes: tuple[Note, ...] = ()
    fit: str = 'crop'

    def checksum(self) -> str:
        """SHA-256 of the images, the labels and the split that the source fixes."""
        digest = hashlib.sha256()
        for start in range(0, len(self.images), 1024):  # never all of a file in memory
            digest.update(np.ascontiguousarray(self.images[start : start + 1024]).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        if self.parts:
            digest.update(' '.join(self.parts).encode())
        return digest.hexdigest()


def drop_empty_classes(listing: Listing) -> Listing:
    """Drop classes without images, and number the others in the same order."""
    present, labels = np.unique(listing.labels, return_inverse=True)
    names = tuple(listing.class_names[label] for label in present)
    return dataclasses.replace(listing, labels=labels.astype(np.int32), class_names=names)
