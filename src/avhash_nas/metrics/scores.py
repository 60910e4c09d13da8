"""The result of an evaluation."""

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
        }

    def curves_to_dict(self) -> dict[str, dict[str, list[float]]]:
        """The curves by name for JSON: "by_rank", "by_recall", "by_radius"."""
        return {name: getattr(self, name).to_dict() for name in ("by_rank", "by_recall", "by_radius")}
