"""Rankings by Hamming distance, reduced to the numbers that the measures need.

The measures depend on the ranks of the relevant items (`RankedHits`), or only on the numbers of items and relevant
items at each distance (`TieGroups`). As distances are small integers, a ranking is a counting sort: `rank_codes`
computes both in one pass by compiled code; `rank` and `group` do the same in NumPy, from distances.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from avhash_nas.kernels.ranking_native import NativeRanking

Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Distances: TypeAlias = npt.NDArray[np.integer]
Number = TypeVar("Number", np.int64, np.float64)
Reorder: TypeAlias = Callable[[int, Integers], Integers]
"""Maps a query's position and the positions of the items, nearest first, to the new order of the first few of them, as
indices into the second argument."""


@dataclass(frozen=True)
class RankedHits:
    """Ranks of the relevant items after breaking ties: one entry per hit, sorted by query, then rank."""

    queries: Integers
    """Index of the hit's query, shape (hits,)."""
    ranks: Integers
    """Rank of the hit, from 1, shape (hits,)."""
    ordinals: Integers
    """1 for the first hit of a query, 2 for the second, and so on, shape (hits,)."""
    relevant: Integers
    """Relevant items of each query, shape (queries,)."""
    ranked: Integers
    """Length of each query's ranking, shape (queries,)."""


@dataclass(frozen=True)
class TieGroups:
    """Number of items at each distance, without breaking ties."""

    items: Integers
    """Items at distance 0..q, shape (queries, q + 1)."""
    relevant: Integers
    """Relevant items at distance 0..q, shape (queries, q + 1)."""

    @cached_property
    def items_before(self) -> Integers:
        """Items nearer than distance 0..q + 1, shape (queries, q + 2)."""
        return accumulate(self.items)

    @cached_property
    def relevant_before(self) -> Integers:
        """Relevant items nearer than distance 0..q + 1, shape (queries, q + 2)."""
        return accumulate(self.relevant)

    def boundary(self, k: int | None) -> tuple[Integers, Integers]:
        """Finds the distance at which the cutoff K splits each ranking.

        Args:
            k: K, at least 1; None for whole rankings.

        Returns:
            The first distance whose items are not all within K (q + 1 if there is none), and the number of ranks that
            are left for its items, each of shape (queries,).
        """
        whole = self.items_before[:, 1:] <= (self.items_before[:, -1:] if k is None else k)
        boundary = whole.sum(axis=1)
        slots = 0 if k is None else k - self.items_before[np.arange(len(boundary)), boundary]
        return boundary, np.where(boundary == self.items.shape[1], 0, slots)


def rank_codes(
    native: NativeRanking,
    queries: npt.NDArray[np.uint64],
    words: npt.NDArray[np.uint64],
    labels: Bools,
    members: Bools,
    sizes: Integers,
    own: Integers,
    bits: int,
) -> tuple[RankedHits, TieGroups]:
    """Ranks by Hamming distance; tied items keep the order of their columns.

    Args:
        native: The compiled library.
        queries: Codes of the queries in 64-bit words, shape (words, queries).
        words: Codes of the items, shape (words, items).
        labels: Whether the query has the class, shape (queries, C).
        members: Whether the class has the item, shape (C, items).
        sizes: Items of each class, shape (C,).
        own: The item to exclude from the query's ranking, or -1, shape (queries,).
        bits: Length q of a code.
    """
    most = int(np.minimum(labels.astype(np.int64) @ sizes, words.shape[1]).sum())
    items, relevant, ranks = native.rank(np.ascontiguousarray(queries), words, labels, members, own, most, bits)
    groups = TieGroups(items, relevant)
    return _ranked_hits(ranks, groups), groups


def rank(
    distances: Distances, relevance: Bools, bits: int, reorder: Reorder | None = None
) -> tuple[RankedHits, TieGroups]:
    """Ranks by distance; tied items keep the order of their columns.

    Args:
        distances: Hamming distances of 0..q, shape (queries, items); q + 1 excludes an item from the query's ranking.
        relevance: Whether the item is relevant to the query, shape (queries, items); false for excluded items.
        bits: Length q of a code.
        reorder: Reorders the first items of each ranking; does not affect the counts per distance.
    """
    columns = distances.shape[1]
    order = np.argsort(distances, axis=1, kind="stable")  # a radix sort for 8 and 16 bits
    ranked = _take_along(_with_relevance(distances, relevance, bits), order)
    hits = _hits(ranked)
    groups = _groups(ranked, hits, bits)
    if reorder is not None:
        for row, length in enumerate(groups.items_before[:, -1]):
            first = reorder(row, order[row, :length])
            ranked[row, : len(first)] = ranked[row, first]
        hits = _hits(ranked)
    del order
    hits %= columns
    hits += 1
    return _ranked_hits(hits, groups), groups


def _ranked_hits(ranks: Integers, groups: TieGroups) -> RankedHits:
    """Combines the ranks, sorted by query and rank, with the counts per distance."""
    relevant = groups.relevant_before[:, -1]
    queries = np.repeat(np.arange(len(relevant)), relevant)
    ordinals = np.arange(1, len(ranks) + 1) - np.repeat(np.cumsum(relevant) - relevant, relevant)
    return RankedHits(queries, ranks, ordinals, relevant, groups.items_before[:, -1])


def group(distances: Distances, relevance: Bools, bits: int) -> TieGroups:
    """Counts items and relevant items at each distance; arguments as for `rank`."""
    ranked = np.sort(_with_relevance(distances, relevance, bits), axis=1, kind="stable")
    return _groups(ranked, _hits(ranked), bits)


def _with_relevance(distances: Distances, relevance: Bools, bits: int) -> Distances:
    """2 * distance + relevance, in the smallest type that holds it."""
    both = distances.astype(np.min_scalar_type(2 * (bits + 1) + 1))
    both <<= 1
    both |= relevance
    return both


def _take_along(values: Distances, order: Integers) -> Distances:
    """Faster `np.take_along_axis(values, order, 1)`; temporarily modifies `order`."""
    starts = np.arange(len(values))[:, None] * values.shape[1]
    order += starts
    taken: Distances = values.ravel().take(order)
    order -= starts
    return taken


def _hits(ranked: Distances) -> Integers:
    """Flat positions of the relevant items."""
    return np.flatnonzero((ranked & 1).astype(bool))


def _groups(ranked: Distances, hits: Integers, bits: int) -> TieGroups:
    """Counts per distance of rows sorted by distance; `hits` are flat positions."""
    rows, columns = ranked.shape
    distances = ranked >> 1
    ends = np.flatnonzero(distances[:, 1:] != distances[:, :-1])  # last items of a distance
    end_rows, end_columns = np.divmod(ends, max(1, columns - 1))
    up_to = np.zeros((rows, bits + 2), np.int64)  # cumulative number of items
    up_to[end_rows, distances[end_rows, end_columns]] = end_columns + 1
    up_to[np.arange(rows), distances[:, -1]] = columns
    items = np.diff(np.maximum.accumulate(up_to, axis=1), axis=1, prepend=0)
    cells = hits // columns * (bits + 2) + distances.ravel()[hits]
    relevant = np.bincount(cells, minlength=rows * (bits + 2)).reshape(rows, bits + 2)
    return TieGroups(items[:, : bits + 1], relevant[:, : bits + 1])


def relevance(labels: Bools, members: Bools) -> Bools:
    """Which items share at least one class with each query, (queries, items).

    Unites the members of the query's classes: `labels` is (queries, C), `members` (C, items).
    """
    result = np.zeros((len(labels), members.shape[1]), np.bool_)
    rows, classes = np.nonzero(labels)
    counts = np.bincount(rows, minlength=len(labels))
    ordinals = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    for ordinal in range(counts.max(initial=0)):  # the largest number of labels of a query: mostly 1
        chosen = ordinals == ordinal
        result[rows[chosen]] |= members[classes[chosen]]
    return result


def ratio(top: Floats | Integers, bottom: Floats | Integers) -> Floats:
    """Division that gives 0 if the denominator is 0."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom != 0)


def accumulate(counts: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Exclusive cumulative sums, with the total at the end: shape (rows, columns + 1)."""
    sums = np.zeros((counts.shape[0], counts.shape[1] + 1), counts.dtype)
    np.cumsum(counts, axis=1, out=sums[:, 1:])
    return sums
