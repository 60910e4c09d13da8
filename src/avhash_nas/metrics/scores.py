"""The result of an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from avhash_nas.metrics.average_precision import Normalization
from avhash_nas.metrics.precision_recall import PrecisionRecallCurve

Ties = Literal["permuted", "expected"]


@dataclass(frozen=True)
class RetrievalScores:
    """Result of `evaluate`: means over all queries, 0..1, higher is better. A query without relevant items scores 0."""

    average_precision: dict[int | None, dict[Normalization, float]]
    """mAP@K of each K (None: the whole database) in each normalization."""
    precision: dict[int | None, float]
    """P@K of each K."""
    recall: dict[int | None, float]
    """R@K of each K."""
    by_rank: PrecisionRecallCurve
    """Mean P@k and R@k for every k: the P@K, R@K and P-R curves of AV-NAS, Fig. 6."""
    by_recall: PrecisionRecallCurve
    """Mean precision at recall levels 0, 0.05, ..., 1."""
    by_radius: PrecisionRecallCurve
    """Mean precision and recall within Hamming radius 0..q."""
    queries: int
    """Number of queries."""
    queries_without_relevant: int
    """Number of queries without a relevant item in the database."""
    database: int
    """Number of items searched."""
    ties: Ties
    """Treatment of ties."""
    queries_in_database: int = 0
    """Number of queries that are items as well, by their ids; 0 if `evaluate` was given no ids of queries."""
    exclude_self: bool = False
    """Whether these were left out of their own rankings."""
    unlabeled: int = 0
    """Number of items without a label, which are relevant to no query."""

    def to_dict(self) -> dict[str, Any]:
        """Scores and counts for JSON: "map@K" (K a number or "all"), "precision@K", "recall@K", "queries"..."""
        scores: dict[str, Any] = {}
        for k in self.average_precision:
            name = "all" if k is None else k
            scores[f"map@{name}"] = dict(self.average_precision[k])
            scores[f"precision@{name}"] = self.precision[k]
            scores[f"recall@{name}"] = self.recall[k]
        return scores | {
            "queries": self.queries,
            "queries_without_relevant": self.queries_without_relevant,
            "database": self.database,
            "ties": self.ties,
            "queries_in_database": self.queries_in_database,
            "exclude_self": self.exclude_self,
            "unlabeled": self.unlabeled,
        }

    def curves_to_dict(self) -> dict[str, dict[str, list[float]]]:
        """The curves by name for JSON: "by_rank", "by_recall", "by_radius"."""
        return {name: getattr(self, name).to_dict() for name in ("by_rank", "by_recall", "by_radius")}


def protocol_notes(scores: Mapping[str, Any]) -> list[str]:
    """One sentence for each rule of the evaluation that the numbers alone do not show.

    Args:
        scores: As `RetrievalScores.to_dict` gives it; earlier versions wrote fewer entries.

    >>> protocol_notes({"queries": 9, "queries_in_database": 9, "exclude_self": False, "database": 9, "unlabeled": 0})
    ['9 of 9 queries are in the database, and each ranks itself there (data.include_self).']
    """
    notes = []
    if own := scores.get("queries_in_database", 0):
        rule = (
            ": each is left out of its own ranking."
            if scores["exclude_self"]
            else ", and each ranks itself there (data.include_self)."
        )
        notes.append(f"{own:,} of {scores['queries']:,} queries are in the database{rule}")
    if unlabeled := scores.get("unlabeled", 0):
        notes.append(
            f"{unlabeled:,} of {scores['database']:,} videos of the database have no label: relevant to no query."
        )
    return notes
