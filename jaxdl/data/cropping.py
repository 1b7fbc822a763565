"""Share of the area that the centred square leaves out of images."""

import pathlib
from collections.abc import Sequence

import numpy as np

from jaxdl.data import image_headers
from jaxdl.data.listing import Note, note

CUT = 0.15  # share of the area that the median image may lose
READ = 1000  # images whose headers are read, evenly spread


def note_cropped(images: Sequence[pathlib.Path | bytes], ids: Sequence[str]) -> tuple[Note, ...]:
    """Note that a centred square leaves out more than CUT of the median image.

    Args:
      images: paths or encoded bytes [n].
      ids: of the images [n].

    Returns:
      The note, whose cases are the images that lose more than CUT; none below it.
    """
    chosen = np.unique(np.linspace(0, len(images) - 1, min(READ, len(images))).astype(int))
    sizes = {i: size for i in chosen.tolist() if (size := image_headers.read_size(images[i]))}
    cuts = {i: 1 - min(size) / max(size) for i, size in sizes.items() if min(size)}
    median = float(np.median(list(cuts.values()))) if cuts else 0.0
    if median <= CUT:
        return ()
    finding = (
        f'The centre crop leaves out {100 * median:.0f} % of the median image (fit=pad and '
        f'fit=squash keep the whole); images that lose more than {100 * CUT:.0f} %'
    )
    sides = {i: '{} x {}'.format(*sizes[i]) for i, cut in cuts.items() if cut > CUT}
    return note(finding, (f'{ids[i]} {size}' for i, size in sides.items()))
