"""Retrieval measures on codes: Hamming ranking, average precision, precision and recall at K, and their curves."""

from typing import TYPE_CHECKING, Any

from avhash_nas.codes import binarize, pack, unpack
from avhash_nas.metrics.average_precision import NORMALIZATIONS, Normalization
from avhash_nas.metrics.evaluation import evaluate
from avhash_nas.metrics.hamming import hamming_distances
from avhash_nas.metrics.lsh import chance_scores, random_projection_codes
from avhash_nas.metrics.precision_recall import PrecisionRecallCurve
from avhash_nas.metrics.scores import RetrievalScores, Ties
from avhash_nas.metrics.ties import ids_from_names

if TYPE_CHECKING:
    from avhash_nas.metrics.retrieval import RetrievalMetric

__all__ = [
    "NORMALIZATIONS",
    "Normalization",
    "PrecisionRecallCurve",
    "RetrievalMetric",
    "RetrievalScores",
    "Ties",
    "binarize",
    "chance_scores",
    "evaluate",
    "hamming_distances",
    "ids_from_names",
    "pack",
    "random_projection_codes",
    "unpack",
]


def __getattr__(name: str) -> Any:
    """Imports torchmetrics, which takes seconds, on first use."""
    if name == "RetrievalMetric":
        from avhash_nas.metrics.retrieval import RetrievalMetric

        return RetrievalMetric
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
