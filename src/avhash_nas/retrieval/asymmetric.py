"""Rerank by the query's real-valued outputs against the database's codes."""

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval.rerank import Rerank, Scores, part


class AsymmetricRerank(Rerank):
    """Compares the query's relaxed code with the signs of the database's codes; the database keeps nothing more.

    A bit on which the query is undecided counts less than one of which it is sure (asymmetric distance: Gordo,
    Perronnin, Gong and Lazebnik, "Asymmetric Distances for Binary Embeddings", TPAMI 2014).

    Args:
        depth: k, how many of the nearest codes are compared anew.
    """

    def scores(self, query: CodeSet, candidates: CodeSet) -> Scores:
        """Mean over the bits of the query's value times the candidate's sign."""
        return asymmetric_similarity(part(query, "values")[0], candidates.packed)


def asymmetric_similarity(values: NDArray[np.floating], packed: NDArray[np.uint8]) -> Scores:
    """Mean product of real values and the signs that packed codes stand for.

    Args:
        values: Shape (q,).
        packed: Codes as `avhash_nas.codes.pack` packs them, shape (n, ceil(q / 8)).

    Returns:
        Shape (n,), float32; within [-1, 1] for values that are.
    """
    values = values.astype(np.float32)
    ones = np.unpackbits(packed, axis=1, count=len(values))  # (n, q)
    similarity: Scores = (2 * (ones @ values) - values.sum()) / np.float32(len(values))
    return similarity
