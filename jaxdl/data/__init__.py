"""Images to train on: where they come from and how they are split."""

from jaxdl.data.sources import SOURCES, Data, Dataset, load, split
from jaxdl.data.splits import SPLITS, Splits

__all__ = ['SOURCES', 'SPLITS', 'Data', 'Dataset', 'Splits', 'load', 'split']
