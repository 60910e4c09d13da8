"""Measures: retrieval by codes with its curves, ranks of one target, cost of matching, F-scores of video parsing."""

import importlib
from typing import TYPE_CHECKING, Any

from avhash_nas.codes import binarize, pack, unpack
from avhash_nas.metrics.average_precision import NORMALIZATIONS, Normalization
from avhash_nas.metrics.evaluation import evaluate
from avhash_nas.metrics.hamming import hamming_distances
from avhash_nas.metrics.lsh import chance_scores, random_projection_codes
from avhash_nas.metrics.matching_cost import Matching, bytes_per_video, counted_cost, published_cost, x_clip_cost
from avhash_nas.metrics.one_target import OneTargetScores, TargetRanks, text_to_video, video_to_text
from avhash_nas.metrics.parsing import ParsingScores, constant_predictions, decode, parsing_scores, video_scores
from avhash_nas.metrics.precision_recall import PrecisionRecallCurve
from avhash_nas.metrics.scores import RetrievalScores, Ties
from avhash_nas.metrics.ties import ids_from_names

if TYPE_CHECKING:
    from avhash_nas.metrics.parsing_metric import ParsingMetric
    from avhash_nas.metrics.retrieval import RetrievalMetric

__all__ = [
    "NORMALIZATIONS",
    "Matching",
    "Normalization",
    "OneTargetScores",
    "ParsingMetric",
    "ParsingScores",
    "PrecisionRecallCurve",
    "RetrievalMetric",
    "RetrievalScores",
    "TargetRanks",
    "Ties",
    "binarize",
    "bytes_per_video",
    "chance_scores",
    "constant_predictions",
    "counted_cost",
    "decode",
    "evaluate",
    "hamming_distances",
    "ids_from_names",
    "pack",
    "parsing_scores",
    "published_cost",
    "random_projection_codes",
    "text_to_video",
    "unpack",
    "video_scores",
    "video_to_text",
    "x_clip_cost",
]


_NEED_TORCHMETRICS = {"RetrievalMetric": "retrieval", "ParsingMetric": "parsing_metric"}


def __getattr__(name: str) -> Any:
    """Imports torchmetrics, which takes seconds, on first use."""
    if name not in _NEED_TORCHMETRICS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEED_TORCHMETRICS[name]}"), name)
