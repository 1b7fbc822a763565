"""Images in, batches out: sources, decoding cache, splits, near-duplicates, checks and batches.

May import statistics, runtime and everything below. Interface: the names below, `on_device`,
`batches`, `splits`, `bursts`, `audit`, `decode`, `near_duplicates`, `cache` and `sources`.
"""

from jaxdl.data.listing import Dataset, Listing
from jaxdl.data.loading import SOURCES, Data, load, read_listing, split
from jaxdl.data.splits import SPLITS, Splits

__all__ = [
    'SOURCES',
    'SPLITS',
    'Data',
    'Dataset',
    'Listing',
    'Splits',
    'load',
    'read_listing',
    'split',
]
