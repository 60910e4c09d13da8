"""Rerank by attention of the query over the time steps of each database video."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.rerank import Part, Rerank, Scores, part
from avhash_nas.retrieval.values import cosine, unit


class FrameRerank(Rerank):
    """Compares the query with those time steps of a video that look like it, as EERCF's gated interaction block does.

    The query's relaxed code f weighs the relaxed codes f_t of a video's time steps (`HashNetwork.time_steps`) by
    softmax_t(cos(f, f_t) / temperature); their sum so weighted, each brought to length 1, is compared with f by cosine.
    There is nothing to train. A high temperature compares with the mean of the time steps, a low one with the best time
    step. The database keeps 2 T q bytes a video.

    Args:
        depth: k, how many of the nearest codes are compared anew.
        temperature: What the cosines are divided by, above 0.

    Raises:
        AvnasError: An argument is out of range.
    """

    database_parts: ClassVar[tuple[Part, ...]] = ("frames",)

    def __init__(self, depth: int = 100, temperature: float = 0.1) -> None:
        super().__init__(depth)
        if not temperature > 0:
            raise AvnasError(f"rerank: temperature must be above 0, got {temperature}")
        self.temperature = temperature

    def scores(self, query: CodeSet, candidates: CodeSet) -> Scores:
        """Cosine of the query and what it attends to in each candidate."""
        return attended_similarity(part(query, "values")[0], part(candidates, "frames"), self.temperature)


def attended_similarity(query: NDArray[np.floating], frames: NDArray[np.floating], temperature: float) -> Scores:
    """Cosine of a query and the sum of each video's time steps, weighted by their cosine with the query.

    Time steps count by their direction alone: they are brought to length 1 first; a zero stays zero.

    Args:
        query: Shape (d,).
        frames: Shape (n, T, d).
        temperature: Of the softmax over T, above 0.

    Returns:
        Shape (n,), within [-1, 1], float32.
    """
    query, frames = unit(query), frames.astype(np.float32)
    lengths = np.sqrt(np.einsum("ntd,ntd->nt", frames, frames))
    lengths[lengths == 0] = 1
    alike = frames @ query / lengths  # (n, T)
    weights = np.exp((alike - alike.max(axis=1, keepdims=True)) / np.float32(temperature))
    weights /= weights.sum(axis=1, keepdims=True) * lengths  # dividing the frames themselves takes twice as long
    attended = weights[:, None, :] @ frames  # (n, 1, d)
    return cosine(query, attended[:, 0])
