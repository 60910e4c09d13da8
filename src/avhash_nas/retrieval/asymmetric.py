"""Rerank by the query's relaxed code and the database's codes."""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval.rerank import Rerank, Scores, part


class AsymmetricRerank(Rerank):
    """Mean product of the query's relaxed code and the candidate's signs; the database stores only codes.

    Bits of which the query is unsure count less (asymmetric distance: Gordo,
    Perronnin, Gong and Lazebnik, "Asymmetric Distances for Binary Embeddings", TPAMI 2014).

    Args:
        depth: k, the number of nearest codes to rerank.
    """

    @override
    def scores(self, query: CodeSet, candidates: CodeSet) -> Scores:
        return asymmetric_similarity(part(query, "values")[0], candidates.packed)


def asymmetric_similarity(values: NDArray[np.floating], packed: NDArray[np.uint8]) -> Scores:
    """Mean product of real values, (q,), and the signs of packed codes, (n, ceil(q / 8)): float32, (n,)."""
    values = values.astype(np.float32)
    ones = np.unpackbits(packed, axis=1, count=len(values))  # (n, q)
    similarity: Scores = (2 * (ones @ values) - values.sum()) / np.float32(len(values))
    return similarity
