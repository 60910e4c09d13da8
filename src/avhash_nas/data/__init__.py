"""Datasets: layout on disk, checks, memory-mapped features, samplers and the Lightning data module."""

from typing import TYPE_CHECKING, Any

from avhash_nas.cache import default_cache_dir
from avhash_nas.data.balanced import ClassBalanced
from avhash_nas.data.check import FileReport, Report, check, print_report
from avhash_nas.data.extraction_record import EXTRACTION_FILE, check_same_extraction, read_extraction
from avhash_nas.data.features import Features, open_features
from avhash_nas.data.layout import Layout, read_layout
from avhash_nas.data.media import Media, read_media, write_media
from avhash_nas.data.sampling import BatchSampling
from avhash_nas.data.shuffled import Shuffled
from avhash_nas.data.splits import Splits, Video, read_splits
from avhash_nas.data.synthetic import write_synthetic
from avhash_nas.data.triplet import Triplets
from avhash_nas.data.tuples import Tuples

if TYPE_CHECKING:
    from avhash_nas.data.batch import Batch
    from avhash_nas.data.datamodule import HashingData
    from avhash_nas.data.feature_folder import FeatureFolder

__all__ = [
    "EXTRACTION_FILE",
    "Batch",
    "BatchSampling",
    "ClassBalanced",
    "FeatureFolder",
    "Features",
    "FileReport",
    "HashingData",
    "Layout",
    "Media",
    "Report",
    "Shuffled",
    "Splits",
    "Triplets",
    "Tuples",
    "Video",
    "check",
    "check_same_extraction",
    "default_cache_dir",
    "open_features",
    "print_report",
    "read_extraction",
    "read_layout",
    "read_media",
    "read_splits",
    "write_media",
    "write_synthetic",
]


def __getattr__(name: str) -> Any:
    """Imports what needs torch or Lightning when it is first asked for: checking a dataset needs neither."""
    if name == "Batch":
        from avhash_nas.data.batch import Batch

        return Batch
    if name == "HashingData":
        from avhash_nas.data.datamodule import HashingData

        return HashingData
    if name == "FeatureFolder":
        from avhash_nas.data.feature_folder import FeatureFolder

        return FeatureFolder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
