"""Search by video file, by id, by code or by features: recall by Hamming distance, then rerank."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval import CodeStore, Rerank
from avhash_nas.retrieval.rerank import part

if TYPE_CHECKING:
    from avhash_nas.extraction import Extraction
    from avhash_nas.networks import HashNetwork


@dataclass(frozen=True)
class Answer:
    """One video that was found.

    Attributes:
        id: The video's id.
        distance: Hamming distance of its code to the query's, 0 to q.
        score: What reranking gave it, the higher the more alike; None where it was not reranked.
        labels: Names of its classes; empty where none are known.
    """

    id: str
    distance: int
    score: float | None
    labels: tuple[str, ...]


class VideoSearch:
    """Finds the videos most like one.

    Answers come by distance, or, down to the rerank's depth, by score; those that tie keep the order of the stage
    before. Any number of threads may ask at once.

    Args:
        store: What is searched.
        network: Makes codes of features; needed by `by_video` and `by_features`.
        extraction: Makes features of video files; needed by `by_video`.
        rerank: The second stage; None answers by Hamming distance alone.

    Raises:
        AvnasError: The network is not that of the store's codes, or the store does not keep what reranking compares.
    """

    def __init__(
        self,
        store: CodeStore,
        network: "HashNetwork | None" = None,
        extraction: "Extraction | None" = None,
        rerank: Rerank | None = None,
    ) -> None:
        self.store = store
        self.network = network
        self.extraction = extraction
        self.rerank = rerank
        if network is not None:
            store.check_codes(network.bits, network.fingerprint(), "the network for queries")
        if rerank is not None:
            sample = store.fetch(store.first_ids(1))
            for name in rerank.database_parts:
                part(sample, name)

    def by_video(self, path: str | Path, top: int = 10) -> list[Answer]:
        """The videos most like a video file.

        Args:
            path: The file.
            top: How many at most.

        Raises:
            AvnasError: The search has no network or no extraction, or the file is no video that can be read.
        """
        if self.extraction is None:
            raise AvnasError("query by video: it is not known how the features of the codes were made from videos")
        self._network()
        features = self.extraction.features(path)
        return self.by_features(features.visual, features.audio, top)

    def by_features(self, visual: NDArray[np.float32], audio: NDArray[np.float32], top: int = 10) -> list[Answer]:
        """The videos most like one whose features are at hand.

        Args:
            visual: Frame features, shape (T, visual_dim).
            audio: Segment features, shape (T, audio_dim).
            top: How many at most.

        Raises:
            AvnasError: The search has no network, or the features have other widths than it takes.
        """
        query = self._encode(visual, audio)
        return self._answers(query, self._recall(query.packed, top), top)

    def by_id(self, video: str, top: int = 10, itself: bool = False) -> list[Answer]:
        """The videos most like one of the store.

        Args:
            video: Its id.
            top: How many at most.
            itself: Whether the video may be among the answers.

        Raises:
            AvnasError: The store has no such video.
        """
        query = self.store.fetch([video])
        found = [each for each in self._recall(query.packed, top, spare=1) if itself or each[0] != video]
        return self._answers(query, found, top)

    def by_code(self, code: str, top: int = 10) -> list[Answer]:
        """The videos with the codes nearest to one; not reranked, as a code alone has no real-valued outputs.

        Args:
            code: The packed code, two hexadecimal digits a byte, the first bit in the highest place.
            top: How many at most.

        Raises:
            AvnasError: It is not hexadecimal, or of another length than the store's codes.
        """
        width = -(-self.store.bits // 8)
        try:
            packed = np.frombuffer(bytes.fromhex(code), np.uint8)
        except ValueError as error:
            raise AvnasError(f"code {code!r}: is not hexadecimal") from error
        if len(packed) != width:
            raise AvnasError(
                f"code {code!r}: {8 * len(packed)} bits; {self.store.where} holds codes of {self.store.bits} bits, "
                f"{2 * width} hexadecimal digits"
            )
        return self._answers(None, self._recall(packed[None], top), top)

    def _network(self) -> "HashNetwork":
        if self.network is None:
            raise AvnasError("query by video: needs the network that made the codes")
        return self.network

    def _encode(self, visual: NDArray[np.float32], audio: NDArray[np.float32]) -> CodeSet:
        """The code of one video, with the relaxed code that it is the sign of."""
        import torch  # queries by id and by code do without

        from avhash_nas.codes import halve, pack
        from avhash_nas.networks.hash_network import evaluating

        network = self._network()
        arguments = network.arguments()
        for name, features in (("visual", visual), ("audio", audio)):
            if features.ndim != 2 or features.shape[1] != arguments[f"{name}_dim"]:
                wanted = f"(T, {arguments[f'{name}_dim']})"
                raise AvnasError(f"query: {name} features of shape {features.shape}; the network takes {wanted}")
        device = next(network.parameters()).device
        with torch.inference_mode(), evaluating(network):
            inputs = (
                torch.as_tensor(features, dtype=torch.float32, device=device)[None] for features in (visual, audio)
            )
            values = network(*inputs).float().cpu()
        return CodeSet(
            ids=np.array([""]),
            packed=pack(values).numpy(),
            bits=network.bits,
            fingerprint=self.store.fingerprint,
            values=halve(values).numpy(),
        )

    def _recall(self, packed: Packed, top: int, spare: int = 0) -> list[tuple[str, int]]:
        """Ids and distances of the nearest codes, as many as the rerank wants, and some to spare."""
        if top < 1:
            raise AvnasError(f"top must be at least 1, got {top}")
        depth = max(top, self.rerank.depth if self.rerank is not None else 0)
        return self.store.search(packed, depth + spare).of(0)

    def _answers(self, query: CodeSet | None, found: list[tuple[str, int]], top: int) -> list[Answer]:
        """Reranked, cut, and with labels."""
        reranked = self.rerank is not None and query is not None
        wanted = self.rerank.database_parts if self.rerank is not None and reranked else ()
        found = found if reranked else found[:top]
        candidates = self.store.fetch([video for video, _ in found], "values" in wanted, "frames" in wanted)
        order, scores = np.arange(len(found)), np.empty(0, np.float32)
        if self.rerank is not None and query is not None:
            order, scores = self.rerank.order(query, candidates)
        return [
            Answer(
                id=found[row][0],
                distance=found[row][1],
                score=float(scores[place]) if place < len(scores) else None,
                labels=_names(candidates, row),
            )
            for place, row in enumerate(order[:top].tolist())
        ]


def _names(codes: CodeSet, row: int) -> tuple[str, ...]:
    """Names of a video's classes."""
    if codes.labels is None:
        return ()
    return tuple(codes.class_names[column] for column in codes.labels[row].nonzero()[0].tolist())
