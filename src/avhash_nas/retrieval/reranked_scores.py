"""Retrieval measures of a reranked search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet, Labels
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.rerank import Rerank

if TYPE_CHECKING:  # imports torch, which a search does not need
    from avhash_nas.metrics import RetrievalScores
    from avhash_nas.metrics.ranking import Reorder


def reranked_scores(
    queries: CodeSet,
    database: CodeSet,
    rerank: Rerank | None,
    *,
    ks: Sequence[int | None] = (5, 20, 100),
    seed: int = 0,
    exclude_self: bool = False,
) -> "RetrievalScores":
    """Evaluates a ranking by Hamming distance whose first k videos are reranked.

    Ties in distance are broken by a permutation of the ids drawn from the seed, as in `avhash_nas.metrics.evaluate`: it
    decides which videos are among the first k, and the order of equal scores there. Below k the ranking is by distance
    alone, so P@K and R@K for K = k do not depend on the rerank.

    Args:
        queries: Codes with labels and the rerank's `query_parts`.
        database: Codes with labels and the rerank's `database_parts`.
        rerank: The rerank; None for Hamming distance alone.
        ks: The K of mAP@K, P@K and R@K; None is the whole database.
        seed: Seed of the permutation.
        exclude_self: Whether to leave a query whose id is in the database out of its own ranking.

    Raises:
        AvnasError: The two sides do not match, or lack labels or a required part.
    """
    import torch

    from avhash_nas.metrics import evaluate, ids_from_names

    labels = [_labels(codes, side) for codes, side in ((queries, "query"), (database, "database"))]
    if queries.class_names != database.class_names:
        raise AvnasError("codes: query and database codes have different classes")
    if rerank is not None:
        rerank.check(queries, database)

    return evaluate(
        *(torch.from_numpy(queries.packed), torch.from_numpy(labels[0])),
        *(torch.from_numpy(database.packed), torch.from_numpy(labels[1])),
        ks=ks,
        seed=seed,
        query_ids=ids_from_names(queries.ids),
        database_ids=ids_from_names(database.ids),
        exclude_self=exclude_self,
        bits=queries.bits,
        reorder=None if rerank is None else _reorder(queries, database, rerank),
    )


def _reorder(queries: CodeSet, database: CodeSet, rerank: Rerank) -> "Reorder":
    """The rerank as an argument of `evaluate`."""

    def reorder(query: int, nearest: NDArray[np.int64]) -> NDArray[np.int64]:
        return rerank.order(queries.take([query]), database.take(nearest[: rerank.depth]))[0]

    return reorder


def _labels(codes: CodeSet, side: str) -> Labels:
    if codes.labels is None:
        raise AvnasError(f"codes: the {side} codes have no labels, which scores need")
    return codes.labels
