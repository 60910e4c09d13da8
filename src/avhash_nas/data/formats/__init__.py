"""Formats in which the field keeps features, and conversion between them: ``avnas data convert``."""

from avhash_nas.data.formats.arrays import Arrays
from avhash_nas.data.formats.base import Contents, Format, Item
from avhash_nas.data.formats.conversion import convert
from avhash_nas.data.formats.labels import read_labels
from avhash_nas.data.formats.layout import PublishedLayout
from avhash_nas.data.formats.parquet import Parquet
from avhash_nas.data.formats.pickles import read_pickle
from avhash_nas.data.formats.stacked import Stacked
from avhash_nas.data.formats.webdataset import WebDataset

__all__ = [
    "Arrays",
    "Contents",
    "Format",
    "Item",
    "Parquet",
    "PublishedLayout",
    "Stacked",
    "WebDataset",
    "convert",
    "read_labels",
    "read_pickle",
]
