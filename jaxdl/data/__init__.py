"""Images to train on: where they come from and how they are split."""

from jaxdl.data.listing import Dataset, Listing
from jaxdl.data.sources import SOURCES, Data, load, split
from jaxdl.data.splits import SPLITS, Splits

__all__ = ['SOURCES', 'SPLITS', 'Data', 'Dataset', 'Listing', 'Splits', 'load', 'split']
