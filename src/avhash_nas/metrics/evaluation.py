"""Evaluation of all retrieval measures in one pass over the codes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from avhash_nas.errors import AvnasError
from avhash_nas.kernels.ranking_native import native_ranking
from avhash_nas.metrics.arguments import check_codes, check_ids, check_labels, check_options, own_positions
from avhash_nas.metrics.average_precision import NORMALIZATIONS, average_precision, expected_average_precision
from avhash_nas.metrics.hamming import Words, as_words, row_chunks, word_distances
from avhash_nas.metrics.precision_recall import (
    PrecisionRecallCurve,
    add_hits_by_rank,
    curve_by_rank,
    precision_by_recall,
    precision_recall,
    precision_recall_by_radius,
)
from avhash_nas.metrics.ranking import (
    Bools,
    Floats,
    Integers,
    RankedHits,
    Reorder,
    TieGroups,
    group,
    rank,
    rank_codes,
    relevance,
)
from avhash_nas.metrics.scores import RetrievalScores, Ties
from avhash_nas.metrics.ties import tie_order

_RECALL_STEPS = 20
_BYTES_PER_PAIR = 64
"""Upper bound on the working memory per query and item: measured 13, or 48 if all items are relevant."""
_PAIRS_AT_ONCE = 2**22
"""Chunk size; larger chunks are hardly faster."""


def evaluate(
    query_codes: Tensor,
    query_labels: Tensor,
    database_codes: Tensor,
    database_labels: Tensor,
    *,
    ks: Sequence[int | None] = (5, 20, 100),
    ties: Ties = "permuted",
    seed: int = 0,
    query_ids: Tensor | None = None,
    database_ids: Tensor | None = None,
    exclude_self: bool = False,
    bits: int | None = None,
    reorder: Reorder | None = None,
    memory: int = 2**28,
) -> RetrievalScores:
    """Ranks the database for each query by Hamming distance and computes all measures, exactly.

    Items at the same distance from a query are tied. `permuted` orders them by a random permutation of the database,
    drawn from the seed and the items' ids, so that the order of the database does not matter. `expected` is the mean of
    each measure over all orders of tied items, in closed form; see `avhash_nas.metrics.precision_recall` for by_recall.

    Args:
        query_codes: Packed codes, uint8, shape (Q, bytes).
        query_labels: Whether query i has class c, bool, shape (Q, C). Items that share a class are relevant.
        database_codes: Packed codes, uint8, shape (N, bytes).
        database_labels: Whether item j has class c, bool, shape (N, C).
        ks: The K of mAP@K, P@K and R@K, each at least 1; None is the whole database. If K exceeds N, P@K and the
            normalization `k` still divide by K.
        ties: `permuted` or `expected`.
        seed: Seed of the permutation.
        query_ids: Ids of the queries, int64, shape (Q,): a query with the id of an item is that item. They are counted,
            and `exclude_self` needs them.
        database_ids: Distinct ids of the items, int64, shape (N,); by default their positions, which makes the
            permutation depend on the order of the database.
        exclude_self: Whether to exclude the item with the query's own id from its ranking.
        bits: Code length q, if not a multiple of 8.
        reorder: Reranks the first items of a ranking: maps a query's position and the positions of the items, nearest
            first, shape (n,), to the new order of the first few, as indices into its argument. Called from several
            threads. The curve by radius, which has no ranking, ignores it.
        memory: Working memory in bytes, besides inputs and result; each thread handles at least one query at a time.

    Returns:
        Scores and curves.

    Raises:
        AvnasError: An argument is invalid, or there are no queries or no items.

    Example:
        Two queries, three items, four bits.

        >>> queries = torch.tensor([[0b1100], [0b0011]]).byte()
        >>> items = torch.tensor([[0b1101], [0b0110], [0b0011]]).byte()
        >>> labels = torch.tensor([[True, False], [False, True], [False, True]])
        >>> scores = evaluate(queries, labels[:2], items, labels, ks=(1, 2), bits=8)
        >>> scores.average_precision[2]
        {'retrieved': 1.0, 'standard': 1.0, 'k': 0.75}
        >>> scores.precision, scores.recall
        ({1: 1.0, 2: 0.75}, {1: 0.75, 2: 1.0})
    """
    bits = check_codes(query_codes, database_codes, bits)
    check_labels(query_codes, query_labels, database_codes, database_labels)
    check_options(ks, ties, memory)
    if reorder is not None and ties != "permuted":
        raise AvnasError(f"reorder: needs ties='permuted', got {ties!r}")
    own_ids, ids = check_ids(query_ids, len(query_codes), database_ids, len(database_codes), exclude_self)
    order = tie_order(ids, seed)
    own = own_positions(own_ids, ids[order])
    task = _Task(
        query_words=as_words(query_codes),
        query_labels=query_labels.cpu().numpy(),
        words=np.ascontiguousarray(as_words(database_codes)[:, order]),
        members=np.ascontiguousarray(database_labels.cpu().numpy()[order].T),
        sizes=np.count_nonzero(database_labels.cpu().numpy(), axis=0),
        own=own if exclude_self else None,
        bits=bits,
        ks=tuple(dict.fromkeys(ks)),
        ties=ties,
        reorder=None if reorder is None else lambda query, nearest: reorder(query, order[nearest]),
    )
    scores = _run(task, memory)
    return replace(
        scores,
        queries_in_database=0 if own is None else int((own >= 0).sum()),
        exclude_self=exclude_self,
        unlabeled=int((~database_labels.any(dim=1)).sum()),
    )


@dataclass(frozen=True)
class _Task:
    """The checked arguments of `evaluate`, the database in the order that breaks ties."""

    query_words: Words
    """Shape (words, Q)."""
    query_labels: Bools
    """Shape (Q, C)."""
    words: Words
    """Shape (words, N)."""
    members: Bools
    """Shape (C, N)."""
    sizes: Integers
    """Items of each class, shape (C,)."""
    own: Integers | None
    """Position of the query in the database, or -1, shape (Q,); None to keep queries in their own rankings."""
    bits: int
    ks: tuple[int | None, ...]
    ties: Ties
    reorder: Reorder | None = None
    """Takes positions in the caller's order of the database."""

    def rank(self, rows: slice) -> tuple[RankedHits | TieGroups, TieGroups]:
        """Ranks the database for some queries. Returns the ranking as `ties` asks for, and the counts per distance."""
        words, labels = self.query_words[:, rows], self.query_labels[rows]
        own = np.full(len(labels), -1) if self.own is None else self.own[rows]
        native = native_ranking()
        if native is not None and self.reorder is None:
            hits, groups = rank_codes(native, words, self.words, labels, self.members, self.sizes, own, self.bits)
            return (hits if self.ties == "permuted" else groups), groups
        distances = word_distances(words, self.words, np.min_scalar_type(self.bits + 1))
        relevant = relevance(labels, self.members)
        excluded = np.flatnonzero(own >= 0)
        distances[excluded, own[excluded]] = self.bits + 1
        relevant[excluded, own[excluded]] = False
        if self.ties == "permuted":
            reorder = self.reorder
            of_chunk = None if reorder is None else lambda row, nearest: reorder(rows.start + row, nearest)
            return rank(distances, relevant, self.bits, of_chunk)
        groups = group(distances, relevant, self.bits)
        return groups, groups


class _Tally:
    """Sums over queries."""

    def __init__(self, task: _Task) -> None:
        items = task.words.shape[1]
        self.average_precision: Floats = np.zeros((len(task.ks), len(NORMALIZATIONS)))
        self.at_k: Floats = np.zeros((len(task.ks), 2))  # precision, recall
        self.by_rank: Floats = np.zeros((2, items))  # hits, hits over relevant
        self.by_recall: Floats = np.zeros(_RECALL_STEPS + 1)
        self.by_radius: Floats = np.zeros((2, task.bits + 1))  # precision, recall
        self.without_relevant = 0

    def add(self, ranking: RankedHits | TieGroups, groups: TieGroups, ks: tuple[int | None, ...]) -> None:
        if isinstance(ranking, RankedHits):
            scores = [average_precision(ranking, k) for k in ks]
        else:
            scores = expected_average_precision(ranking, ks)
        for index, (k, by_name) in enumerate(zip(ks, scores, strict=True)):
            self.average_precision[index] += [by_name[name].sum() for name in NORMALIZATIONS]
            self.at_k[index] += [values.sum() for values in precision_recall(ranking, k)]
        add_hits_by_rank(ranking, self.by_rank[0], self.by_rank[1])
        self.by_recall += precision_by_recall(ranking, _RECALL_STEPS).sum(axis=0)
        self.by_radius += [values.sum(axis=0) for values in precision_recall_by_radius(groups)]
        self.without_relevant += int((groups.relevant.sum(axis=1) == 0).sum())

    def merge(self, other: "_Tally") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def _run(task: _Task, memory: int) -> RetrievalScores:
    """Distributes the queries over torch's number of threads and adds up their sums in order."""
    items, queries = task.words.shape[1], len(task.query_labels)
    threads = min(torch.get_num_threads(), queries)
    budget = min(memory // threads, _PAIRS_AT_ONCE * _BYTES_PER_PAIR)
    chunks = list(row_chunks(queries, row_bytes=_BYTES_PER_PAIR * items, memory=budget))

    def work(first: int) -> _Tally:
        tally = _Tally(task)
        for rows in chunks[first::threads]:
            tally.add(*task.rank(rows), task.ks)
        return tally

    total = _Tally(task)
    with ThreadPoolExecutor(threads) as pool:
        for tally in pool.map(work, range(threads)):
            total.merge(tally)
    return _scores(task, total)


def _scores(task: _Task, total: _Tally) -> RetrievalScores:
    queries = len(task.query_labels)
    levels = torch.arange(_RECALL_STEPS + 1, dtype=torch.float64) / _RECALL_STEPS
    precision, recall = torch.from_numpy(total.by_radius / queries)
    return RetrievalScores(
        average_precision={
            k: dict(zip(NORMALIZATIONS, (sums / queries).tolist(), strict=True))
            for k, sums in zip(task.ks, total.average_precision, strict=True)
        },
        precision={k: float(sums[0] / queries) for k, sums in zip(task.ks, total.at_k, strict=True)},
        recall={k: float(sums[1] / queries) for k, sums in zip(task.ks, total.at_k, strict=True)},
        by_rank=curve_by_rank(total.by_rank[0], total.by_rank[1], queries),
        by_recall=PrecisionRecallCurve(levels, torch.from_numpy(total.by_recall / queries), levels),
        by_radius=PrecisionRecallCurve(torch.arange(task.bits + 1), precision, recall),
        queries=queries,
        queries_without_relevant=total.without_relevant,
        database=task.words.shape[1],
        ties=task.ties,
    )
