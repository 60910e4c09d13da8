"""Rerank of a text query by the frames that the text gates: EERCF's second stage."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.frames import attended_similarity
from avhash_nas.retrieval.rerank import Part, Rerank, Scores, part
from avhash_nas.retrieval.values import cosine, unit


class TextGatedRerank(Rerank):
    """Compares a text with frames that are weighed by it, as EERCF does (Tian et al., AAAI 2024, arXiv 2401.00701).

    The score is frames s_F + context s_G + coarse s_V: the frames' cosines averaged with the weights
    softmax(cosine / temperature); the cosine of the text and the equally weighed frames with context; and the cosine of
    the relaxed codes, which with as many bits as the joint width are the coarse vectors. The defaults are those of the
    authors at test time. The torch twin is `avhash_nas.networks.text_gate`.

    The query is a text (`TextHashNetwork.encode_texts`); the database keeps relaxed codes and time steps
    (`avnas encode --frames`). Where a network keeps frames and frames with context, they lie side by side.

    Args:
        depth: k, the number of nearest codes to rerank.
        frames: Weight of s_F.
        context: Weight of s_G.
        coarse: Weight of s_V.
        frame_temperature: Of the weights in s_F, above 0.
        context_temperature: Of the weights in s_G, above 0.

    Raises:
        AvnasError: An argument is out of range.
    """

    query_parts: ClassVar[tuple[Part, ...]] = ("values", "frames")
    database_parts: ClassVar[tuple[Part, ...]] = ("values", "frames")

    def __init__(
        self,
        depth: int = 50,
        frames: float = 0.8,
        context: float = 0.2,
        coarse: float = 0.5,
        frame_temperature: float = 0.01,
        context_temperature: float = 0.1,
    ) -> None:
        super().__init__(depth)
        if not (frame_temperature > 0 and context_temperature > 0):
            raise AvnasError(f"rerank: temperatures must be above 0, got {frame_temperature} and {context_temperature}")
        self.frames, self.context, self.coarse = frames, context, coarse
        self.frame_temperature, self.context_temperature = frame_temperature, context_temperature

    @override
    def scores(self, query: CodeSet, candidates: CodeSet) -> Scores:
        text = _text(query)
        frames, context = _halves(part(candidates, "frames"), text)
        scores = self.frames * gated_similarity(text, frames, self.frame_temperature)
        scores += self.context * attended_similarity(text, frames, self.context_temperature, context)
        total: Scores = scores + self.coarse * cosine(part(query, "values")[0], part(candidates, "values"))
        return total


def gated_similarity(text: NDArray[np.floating], frames: NDArray[np.floating], temperature: float) -> Scores:
    """The cosines of a text, (d,), and the frames of each video, (n, T, d), averaged with the text's weights: (n,)."""
    cosines = frame_cosines(text, frames)
    weights = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / np.float32(temperature))
    averaged: Scores = (weights * cosines).sum(axis=1) / weights.sum(axis=1)
    return averaged


def frame_cosines(text: NDArray[np.floating], frames: NDArray[np.floating]) -> Scores:
    """Cosines of a text, (d,), and the frames of each video, (n, T, d): float32, (n, T)."""
    single = frames.astype(np.float32)
    lengths = np.sqrt(np.einsum("ntd,ntd->nt", single, single))
    lengths[lengths == 0] = 1
    cosines: Scores = single @ unit(text) / lengths
    return cosines


def best_frames(query: CodeSet, candidates: CodeSet) -> NDArray[np.int64]:
    """The time step of each candidate that a text gates most, (n,)."""
    text = _text(query)
    steps: NDArray[np.int64] = frame_cosines(text, _halves(part(candidates, "frames"), text)[0]).argmax(axis=1)
    return steps


def _text(query: CodeSet) -> NDArray[np.float16]:
    """The text's vector, (d,).

    Raises:
        AvnasError: The query is no text.
    """
    frames = part(query, "frames")
    if frames.shape[1] != 1:
        raise AvnasError(
            "rerank: text_gated is for queries by text; a video is reranked by values, asymmetric or frames"
        )
    vector: NDArray[np.float16] = frames[0, 0]
    return vector


def _halves(frames: NDArray[np.float16], text: NDArray[np.float16]) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Frames, and frames with context; the same where only frames are kept.

    Raises:
        AvnasError: They are of another width than the text.
    """
    width = len(text)
    if frames.shape[2] not in (width, 2 * width):
        raise AvnasError(f"rerank: the store's time steps have width {frames.shape[2]}, the text's vector {width}")
    return frames[:, :, :width], frames[:, :, -width:]
