"""Rerank by attention of the query over the time steps of each candidate."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.rerank import Part, Rerank, Scores, part
from avhash_nas.retrieval.values import cosine, unit


class FrameRerank(Rerank):
    """Compares the query with the time steps most similar to it, as EERCF's gated interaction block does.

    The relaxed codes f_t of a video's time steps (`HashNetwork.time_steps`), normalized to length 1, are averaged with
    the weights softmax_t(cos(f, f_t) / temperature), f being the query's relaxed code; the score is the cosine of f and
    this average. A high temperature compares with the mean of the time steps, a low one with the best time step.
    Nothing is trained. The database stores 2 T q bytes per video.

    Args:
        depth: k, the number of nearest codes to rerank.
        temperature: Divisor of the cosines, above 0.

    Raises:
        AvnasError: An argument is out of range.
    """

    database_parts: ClassVar[tuple[Part, ...]] = ("frames",)

    def __init__(self, depth: int = 100, temperature: float = 0.1) -> None:
        super().__init__(depth)
        if not temperature > 0:
            raise AvnasError(f"rerank: temperature must be above 0, got {temperature}")
        self.temperature = temperature

    @override
    def scores(self, query: CodeSet, candidates: CodeSet) -> Scores:
        values, frames = part(query, "values")[0], part(candidates, "frames")
        if frames.shape[2] != len(values):
            raise AvnasError(
                f"rerank: the store's time steps have width {frames.shape[2]}, the query's code {len(values)}: they "
                "are for queries by text, with --rerank=text_gated"
            )
        return attended_similarity(values, frames, self.temperature)


def attended_similarity(
    query: NDArray[np.floating],
    frames: NDArray[np.floating],
    temperature: float,
    values: NDArray[np.floating] | None = None,
) -> Scores:
    """Cosine of a query, (d,), and the attention-weighted sum of each video's time steps, (n, T, d): float32, (n,).

    Time steps are normalized to length 1 first; zeros stay zero. `values` are summed in their place, if given.
    """
    query, frames = unit(query), frames.astype(np.float32)
    lengths = np.sqrt(np.einsum("ntd,ntd->nt", frames, frames))
    lengths[lengths == 0] = 1
    cosines = frames @ query / lengths  # (n, T)
    weights = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / np.float32(temperature))
    summed = frames
    if values is not None:
        summed = values.astype(np.float32)
        lengths = np.sqrt(np.einsum("ntd,ntd->nt", summed, summed))
        lengths[lengths == 0] = 1
    weights /= weights.sum(axis=1, keepdims=True) * lengths  # dividing the frames instead takes twice as long
    attended = weights[:, None, :] @ summed  # (n, 1, d)
    return cosine(query, attended[:, 0])
