"""Rankings by Hamming distance, as the few numbers that all measures follow from.

Distances are small whole numbers, so ranking is a counting sort, and what matters of a ranking is where the relevant
items lie (`RankedHits`), or only how many items and relevant items there are at each distance (`TieGroups`).
`rank_codes` finds both in one walk, by compiled code; `rank` and `group` are the same in NumPy, from distances.
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
"""From a query's position and the positions of the items, nearest first, to the new order of the first few of them: of
each place the index into the positions given."""


@dataclass(frozen=True)
class RankedHits:
    """Where the relevant items of some queries lie, ties broken: one entry per hit, by query and then by rank."""

    queries: Integers
    """Index of the hit's query, shape (hits,)."""
    ranks: Integers
    """Place of the hit in the ranking of its query, from 1, shape (hits,)."""
    ordinals: Integers
    """1 for the first hit of a query, 2 for its second and so on, shape (hits,)."""
    relevant: Integers
    """Relevant items of each query, shape (queries,)."""
    ranked: Integers
    """Length of each query's ranking, shape (queries,)."""


@dataclass(frozen=True)
class TieGroups:
    """How many items each query has at each distance, ties left open."""

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

    def cut(self, k: int | None) -> tuple[Integers, Integers]:
        """Finds the distance at which K cuts each ranking.

        Args:
            k: K, at least 1; None takes whole rankings.

        Returns:
            The first distance that does not lie within K as a whole (q + 1 where all do), and how many of its items lie
            within K, each of shape (queries,).
        """
        whole = self.items_before[:, 1:] <= (self.items_before[:, -1:] if k is None else k)
        at = whole.sum(axis=1)
        beyond = at == self.items.shape[1]
        places = 0 if k is None else k - self.items_before[np.arange(len(at)), at]
        return at, np.where(beyond, 0, places)


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
    """Ranks by Hamming distance; items at one distance keep the order of their columns.

    Args:
        native: The compiled library.
        queries: Codes of the queries in 64-bit words, shape (words, queries).
        words: Codes of the items, shape (words, items).
        labels: Whether the query has the class, shape (queries, C).
        members: Whether the class has the item, shape (C, items).
        sizes: Items of each class, shape (C,).
        own: The item that is taken out of the query's ranking, or -1, shape (queries,).
        bits: Length q of a code.

    Returns:
        The hits' ranks and the counts per distance.
    """
    most = int(np.minimum(labels.astype(np.int64) @ sizes, words.shape[1]).sum())
    items, relevant, ranks = native.rank(np.ascontiguousarray(queries), words, labels, members, own, most, bits)
    groups = TieGroups(items, relevant)
    return _ranked_hits(ranks, groups), groups


def rank(
    distances: Distances, relevance: Bools, bits: int, reorder: Reorder | None = None
) -> tuple[RankedHits, TieGroups]:
    """Ranks by distance; items at one distance keep the order of their columns.

    Args:
        distances: Hamming distances of 0..q, shape (queries, items); q + 1 takes an item out of the query's ranking.
        relevance: Whether the item is relevant to the query, shape (queries, items); false for items taken out.
        bits: Length q of a code.
        reorder: Puts the first places of each ranking in another order. The counts per distance do not know of it.

    Returns:
        The hits' ranks and the counts per distance.
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
    """Puts the ranks, by query and ascending, together with what follows from the counts."""
    relevant = groups.relevant_before[:, -1]
    queries = np.repeat(np.arange(len(relevant)), relevant)
    ordinals = np.arange(1, len(ranks) + 1) - np.repeat(np.cumsum(relevant) - relevant, relevant)
    return RankedHits(queries, ranks, ordinals, relevant, groups.items_before[:, -1])


def group(distances: Distances, relevance: Bools, bits: int) -> TieGroups:
    """Counts items and relevant items at each distance; arguments as for `rank`."""
    ranked = np.sort(_with_relevance(distances, relevance, bits), axis=1, kind="stable")
    return _groups(ranked, _hits(ranked), bits)


def _with_relevance(distances: Distances, relevance: Bools, bits: int) -> Distances:
    """Puts distance and relevance into one number, 2 * distance + relevance, in the smallest type that holds it."""
    both = distances.astype(np.min_scalar_type(2 * (bits + 1) + 1))
    both <<= 1
    both |= relevance
    return both


def _take_along(values: Distances, order: Integers) -> Distances:
    """Each row of values in the order of the same row, as `np.take_along_axis`; changes `order` for a moment."""
    starts = np.arange(len(values))[:, None] * values.shape[1]
    order += starts
    taken: Distances = values.ravel().take(order)
    order -= starts
    return taken


def _hits(ranked: Distances) -> Integers:
    """Finds the flat positions of the relevant items."""
    return np.flatnonzero((ranked & 1).astype(bool))


def _groups(ranked: Distances, hits: Integers, bits: int) -> TieGroups:
    """Counts per distance of rows sorted by distance, whose hits lie at the given flat positions."""
    rows, columns = ranked.shape
    distances = ranked >> 1
    ends = np.flatnonzero(distances[:, 1:] != distances[:, :-1])  # the last items of their distances
    end_rows, end_columns = np.divmod(ends, max(1, columns - 1))
    up_to = np.zeros((rows, bits + 2), np.int64)  # items at a distance or below it
    up_to[end_rows, distances[end_rows, end_columns]] = end_columns + 1
    up_to[np.arange(rows), distances[:, -1]] = columns
    items = np.diff(np.maximum.accumulate(up_to, axis=1), axis=1, prepend=0)
    cells = hits // columns * (bits + 2) + distances.ravel()[hits]
    relevant = np.bincount(cells, minlength=rows * (bits + 2)).reshape(rows, bits + 2)
    return TieGroups(items[:, : bits + 1], relevant[:, : bits + 1])


def ratio(top: Floats | Integers, bottom: Floats | Integers) -> Floats:
    """Divides, with 0 where the denominator is 0."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom != 0)


def accumulate(counts: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Sums what comes before each column, and all at the end: shape (rows, columns + 1)."""
    sums = np.zeros((counts.shape[0], counts.shape[1] + 1), counts.dtype)
    np.cumsum(counts, axis=1, out=sums[:, 1:])
    return sums
