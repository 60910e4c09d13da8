"""Datasets: layout on disk, checks, memory-mapped features, samplings and the Lightning data modules."""

import importlib
from typing import TYPE_CHECKING, Any

from avhash_nas.cache import default_cache_dir
from avhash_nas.data.balanced import ClassBalanced
from avhash_nas.data.captions import (
    TEXT_ENCODER_FILE,
    Caption,
    CaptionReport,
    CaptionSet,
    check_same_encoder,
    read_captions,
    write_captions,
    write_text,
)
from avhash_nas.data.check import FileReport, Report, check, print_report
from avhash_nas.data.events import Events, open_events
from avhash_nas.data.extraction_record import EXTRACTION_FILE, check_same_extraction, read_extraction
from avhash_nas.data.features import Features, open_features
from avhash_nas.data.layout import Layout, read_layout
from avhash_nas.data.media import Media, read_media, write_media
from avhash_nas.data.sampling import BatchSampling
from avhash_nas.data.shuffled import Shuffled
from avhash_nas.data.splits import Splits, Video, read_splits
from avhash_nas.data.synthetic import write_synthetic
from avhash_nas.data.synthetic_events import write_synthetic_events
from avhash_nas.data.triplet import Triplets
from avhash_nas.data.tuples import Tuples

if TYPE_CHECKING:
    from avhash_nas.data.batch import Batch, EventLabels
    from avhash_nas.data.datamodule import HashingData
    from avhash_nas.data.feature_folder import FeatureFolder
    from avhash_nas.data.llp import clap_steps
    from avhash_nas.data.parsing_data import ParsingData

__all__ = [
    "EXTRACTION_FILE",
    "TEXT_ENCODER_FILE",
    "Batch",
    "BatchSampling",
    "Caption",
    "CaptionReport",
    "CaptionSet",
    "ClassBalanced",
    "EventLabels",
    "Events",
    "FeatureFolder",
    "Features",
    "FileReport",
    "HashingData",
    "Layout",
    "Media",
    "ParsingData",
    "Report",
    "Shuffled",
    "Splits",
    "Triplets",
    "Tuples",
    "Video",
    "check",
    "check_same_encoder",
    "check_same_extraction",
    "clap_steps",
    "default_cache_dir",
    "open_events",
    "open_features",
    "print_report",
    "read_captions",
    "read_extraction",
    "read_layout",
    "read_media",
    "read_splits",
    "write_captions",
    "write_media",
    "write_synthetic",
    "write_synthetic_events",
    "write_text",
]

_NEED_TORCH = {
    **{"Batch": "batch", "EventLabels": "batch", "HashingData": "datamodule", "FeatureFolder": "feature_folder"},
    **{"ParsingData": "parsing_data", "clap_steps": "llp"},
}


def __getattr__(name: str) -> Any:
    """Imports what needs torch or Lightning on first use: `avnas data check` needs neither."""
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
