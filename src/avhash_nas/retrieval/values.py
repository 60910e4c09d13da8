"""Rerank by the relaxed codes of both sides."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval.rerank import Part, Rerank, Scores, part


class ValueRerank(Rerank):
    """Cosine of the relaxed codes of query and candidate; the database stores 2 q bytes per video.

    Args:
        depth: k, the number of nearest codes to rerank.
    """

    database_parts: ClassVar[tuple[Part, ...]] = ("values",)

    @override
    def scores(self, query: CodeSet, candidates: CodeSet) -> Scores:
        return cosine(part(query, "values")[0], part(candidates, "values"))


def cosine(query: NDArray[np.floating], vectors: NDArray[np.floating]) -> Scores:
    """Cosine of a vector, (d,), with others, (n, d): float32, (n,); 0 if either is zero."""
    cosines: Scores = unit(vectors) @ unit(query)
    return cosines


def unit(vectors: NDArray[np.floating]) -> Scores:
    """Normalizes vectors to length 1 along the last axis, float32; zeros stay zero."""
    single: Scores = vectors.astype(np.float32)
    norms: Scores = np.sqrt(np.square(single).sum(axis=-1, keepdims=True))
    norms[norms == 0] = 1
    return single / norms
