"""Retrieval measures of recall and rerank together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet, Labels
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.rerank import Rerank

if TYPE_CHECKING:  # it brings torch, which a search does not need
    from avhash_nas.metrics import RetrievalScores
    from avhash_nas.metrics.ranking import Reorder


def reranked_scores(
    queries: CodeSet,
    database: CodeSet,
    rerank: Rerank | None,
    *,
    ks: Sequence[int | None] = (5, 20, 100),
    seed: int = 0,
) -> "RetrievalScores":
    """All measures of a ranking by Hamming distance whose first places are reranked.

    Videos at one distance from a query are ordered by a permutation drawn from the seed and their ids, as in
    `avhash_nas.metrics.evaluate`: it decides who is among the first k, and the order of equal scores there. Measures
    that look past the first k see below them the ranking by distance alone. So mAP@K and P@K with K above the depth
    can change by the order within the depth alone, and P@K and R@K for K = depth cannot change at all.

    Args:
        queries: Codes with labels and what the reranking compares.
        database: Likewise.
        rerank: How and how deep; None for Hamming distance alone.
        ks: The K of mAP@K, P@K and R@K; None is the whole database.
        seed: Of the permutation.

    Raises:
        AvnasError: The two sides do not fit, or lack labels or what the reranking compares.
    """
    import torch

    from avhash_nas.metrics import evaluate, ids_from_names

    labels = [_labels(codes, side) for codes, side in ((queries, "query"), (database, "database"))]
    if queries.class_names != database.class_names:
        raise AvnasError("codes: the classes of the query codes are not those of the database codes")
    if rerank is not None:
        rerank.check(queries, database)

    return evaluate(
        *(torch.from_numpy(queries.packed), torch.from_numpy(labels[0])),
        *(torch.from_numpy(database.packed), torch.from_numpy(labels[1])),
        ks=ks,
        seed=seed,
        query_ids=ids_from_names(queries.ids),
        database_ids=ids_from_names(database.ids),
        bits=queries.bits,
        reorder=None if rerank is None else _reorder(queries, database, rerank),
    )


def _reorder(queries: CodeSet, database: CodeSet, rerank: Rerank) -> "Reorder":
    """The reranking as `evaluate` takes it."""

    def reorder(query: int, nearest: NDArray[np.int64]) -> NDArray[np.int64]:
        return rerank.order(queries.take([query]), database.take(nearest[: rerank.depth]))[0]

    return reorder


def _labels(codes: CodeSet, side: str) -> Labels:
    if codes.labels is None:
        raise AvnasError(f"codes: the {side} codes come without labels, so that nothing can be scored")
    return codes.labels
