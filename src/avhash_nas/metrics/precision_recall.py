"""Precision and recall within the first K ranks, and the three curves drawn from them.

P@K = hits within K / K, also if the database holds fewer than K items; R@K = hits within K / relevant items, 0 for a
query without relevant items. Both are linear in the hits, so their means over all orders of tied items follow from the
expected hits.

The literature calls three curves "precision-recall"; each has its own name here:

- by rank: mean P@k against mean R@k over the queries, for each k. Hashing papers draw this one, so compare it with
  Fig. 6 of AV-NAS, which does not say; its two columns are the P@K and R@K curves of that figure.
- by recall: the precision at the rank where recall first reaches a level, averaged over the queries, level by level
  (not interpolated). For tied items it is c / E[rank of hit c], Cooper's expected search length (1968) as used by
  Raghavan, Bollmann and Jung (1989): the rank is averaged over the orders, not the precision.
- by radius: all items within a Hamming distance are retrieved (hash lookup), where ties do not matter. A lookup
  without results has precision 0.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avhash_nas.metrics.ranking import Floats, Integers, RankedHits, TieGroups, ratio


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Points of a curve, in order."""

    at: Tensor
    """Ranks 1..N (int64), recall levels (float64) or Hamming radii 0..q (int64), shape (points,)."""
    precision: Tensor
    """Mean precision over the queries, 0..1, float64, shape (points,)."""
    recall: Tensor
    """Mean recall over the queries, 0..1, float64, shape (points,)."""

    def to_dict(self) -> dict[str, list[float]]:
        """The points as lists, for JSON."""
        return {"at": self.at.tolist(), "precision": self.precision.tolist(), "recall": self.recall.tolist()}


def hits_within(ranking: RankedHits | TieGroups, k: int | None) -> Floats:
    """Hits within K of each query (None: all), (queries,); the mean over all orders of tied items for `TieGroups`."""
    if k is None:
        return totals(ranking)[0].astype(np.float64)
    if isinstance(ranking, RankedHits):
        return np.bincount(ranking.queries[ranking.ranks <= k], minlength=len(ranking.relevant)).astype(np.float64)
    boundary, slots = ranking.boundary(k)
    rows, last = np.arange(len(boundary)), np.minimum(boundary, ranking.items.shape[1] - 1)
    share = ratio(ranking.relevant[rows, last], ranking.items[rows, last])
    hits: Floats = ranking.relevant_before[rows, boundary] + slots * share
    return hits


def precision_recall(ranking: RankedHits | TieGroups, k: int | None) -> tuple[Floats, Floats]:
    """P@K and R@K of each query (K None: whole rankings), (queries,) each; means over all orders of tied items."""
    relevant, ranked = totals(ranking)
    hits = hits_within(ranking, k)
    return ratio(hits, ranked if k is None else np.full(len(hits), k)), ratio(hits, relevant)


def precision_by_recall(ranking: RankedHits | TieGroups, steps: int) -> Floats:
    """Precision where recall first reaches 0, 1 / steps, ..., 1 (level 0: at the first hit), (queries, steps + 1).

    It is 0 for a query without relevant items.
    """
    relevant, _ = totals(ranking)
    hits = np.maximum(1, -(-relevant[:, None] * np.arange(steps + 1) // steps))  # at each level, (queries, levels)
    some = relevant > 0
    precision = np.zeros(hits.shape)
    if isinstance(ranking, RankedHits):
        start = np.cumsum(relevant) - relevant
        precision[some] = hits[some] / ranking.ranks[start[some, None] + hits[some] - 1]
    else:
        precision[some] = (hits / _expected_rank(ranking, hits))[some]
    return precision


def _expected_rank(groups: TieGroups, hits: Integers) -> Floats:
    """Mean rank of the given hits over all orders: hit c of r among n items has the mean rank c (n + 1) / (r + 1)."""
    distance = (groups.relevant_before[:, None, 1:] < hits[:, :, None]).sum(axis=2)
    at = np.arange(len(hits))[:, None], np.minimum(distance, groups.items.shape[1] - 1)
    ordinal = hits - groups.relevant_before[at]
    ranks: Floats = groups.items_before[at] + ordinal * (groups.items[at] + 1) / (groups.relevant[at] + 1)
    return ranks


def precision_recall_by_radius(groups: TieGroups) -> tuple[Floats, Floats]:
    """Precision and recall of the items within radius 0..q, each of shape (queries, q + 1)."""
    hits = groups.relevant_before[:, 1:]
    return ratio(hits, groups.items_before[:, 1:]), ratio(hits, hits[:, -1:])


def add_hits_by_rank(ranking: RankedHits | TieGroups, hits: Floats, recall: Floats) -> None:
    """Adds the hits of some queries, in place, to the sums that `curve_by_rank` takes.

    Both are (N,): the (expected) hits at each rank, and the hits divided by the query's number of relevant items.
    """
    size = len(hits)
    if isinstance(ranking, RankedHits):
        at = ranking.ranks - 1
        hits += np.bincount(at, minlength=size)
        recall += np.bincount(at, 1 / ranking.relevant[ranking.queries], minlength=size)
        return
    rows, columns = np.nonzero(ranking.relevant)
    items, relevant = ranking.items[rows, columns], ranking.relevant[rows, columns]
    start = ranking.items_before[rows, columns]
    density = relevant / items  # at each rank of the group
    for sums, height in ((hits, density), (recall, density / ranking.relevant_before[rows, -1])):
        steps = np.bincount(start, height, size + 1) - np.bincount(start + items, height, size + 1)
        sums += np.cumsum(steps[:-1])


def curve_by_rank(hits: Floats, recall: Floats, queries: int) -> PrecisionRecallCurve:
    """The curve of mean P@k against mean R@k, k = 1..N, from the sums of `add_hits_by_rank`."""
    ranks = np.arange(1, len(hits) + 1)
    return PrecisionRecallCurve(
        at=torch.from_numpy(ranks),
        precision=torch.from_numpy(np.cumsum(hits) / ranks / queries),
        recall=torch.from_numpy(np.cumsum(recall) / queries),
    )


def totals(ranking: RankedHits | TieGroups) -> tuple[Integers, Integers]:
    """Number of relevant items and of ranked items of each query, each of shape (queries,)."""
    if isinstance(ranking, RankedHits):
        return ranking.relevant, ranking.ranked
    return ranking.relevant_before[:, -1], ranking.items_before[:, -1]
