"""Rerank by the network's real-valued outputs on both sides."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval.rerank import Part, Rerank, Scores, part


class ValueRerank(Rerank):
    """Compares what both codes were before the sign was taken, by their cosine; 2 q bytes a video.

    Args:
        depth: k, how many of the nearest codes are compared anew.
    """

    database_parts: ClassVar[tuple[Part, ...]] = ("values",)

    def scores(self, query: CodeSet, candidates: CodeSet) -> Scores:
        """Cosine of the query's and each candidate's relaxed codes."""
        return cosine(part(query, "values")[0], part(candidates, "values"))


def cosine(query: NDArray[np.floating], vectors: NDArray[np.floating]) -> Scores:
    """Cosine of one vector with others; 0 where either is zero.

    Args:
        query: Shape (d,).
        vectors: Shape (n, d).

    Returns:
        Shape (n,), within [-1, 1], float32.
    """
    alike: Scores = unit(vectors) @ unit(query)
    return alike


def unit(vectors: NDArray[np.floating]) -> Scores:
    """Vectors brought to length 1 along the last axis, float32; a zero stays zero."""
    single: Scores = vectors.astype(np.float32)
    norms: Scores = np.sqrt(np.square(single).sum(axis=-1, keepdims=True))
    norms[norms == 0] = 1
    return single / norms
