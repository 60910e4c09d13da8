"""Search by video file, features, id or code: recall by Hamming distance, then rerank."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval import CodeStore, Rerank
from avhash_nas.retrieval.rerank import part
from avhash_nas.retrieval.text_gated import best_frames

if TYPE_CHECKING:
    from avhash_nas.extraction import Extraction, TextEncoder
    from avhash_nas.networks import HashNetwork, TextHashNetwork

_FILTERED = 1000
"""Nearest codes among which the videos of a class are looked for."""


@dataclass(frozen=True)
class Answer:
    """An answer to a query.

    Attributes:
        id: The video's id.
        distance: Hamming distance of its code to the query's, 0 to q.
        score: Similarity by rerank, higher is more similar; None if not reranked.
        labels: Names of its classes; empty if unknown.
        step: The time step that a text gates most, from 0; None for other queries and stores without time steps.
    """

    id: str
    distance: int
    score: float | None
    labels: tuple[str, ...]
    step: int | None = None


class VideoSearch:
    """Finds similar videos.

    Answers are ordered by distance or, down to the rerank's depth, by score; ties keep the order of the previous stage.
    Thread-safe.

    Args:
        store: The store to search.
        network: Computes codes from features; needed by `by_video` and `by_features`.
        extraction: Computes features from video files; needed by `by_video`.
        rerank: The second stage; None for Hamming distance alone.
        text: Encodes texts; needed by `by_text`.

    Raises:
        AvnasError: The store's codes belong to another network, or lack a part that the rerank needs.
    """

    def __init__(
        self,
        store: CodeStore,
        network: "HashNetwork | None" = None,
        extraction: "Extraction | None" = None,
        rerank: Rerank | None = None,
        text: "TextEncoder | None" = None,
    ) -> None:
        self.text = text
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
        """Search by a video file.

        Args:
            path: The file.
            top: Maximum number of answers.

        Raises:
            AvnasError: The search has no network or no extraction, or the file cannot be decoded.
        """
        if self.extraction is None:
            raise AvnasError("query by video: the feature extraction of the stored codes is unknown")
        self._network()
        features = self.extraction.features(path)
        return self.by_features(features.visual, features.audio, top)

    def by_features(self, visual: NDArray[np.float32], audio: NDArray[np.float32], top: int = 10) -> list[Answer]:
        """Search by features.

        Args:
            visual: Frame features, shape (T, visual_dim).
            audio: Segment features, shape (T, audio_dim).
            top: Maximum number of answers.

        Raises:
            AvnasError: The search has no network, or the features have the wrong width.
        """
        query = self._encode(visual, audio)
        return self._answers(query, self._recall(query.packed, top), top)

    def by_id(self, video: str, top: int = 10, itself: bool = False) -> list[Answer]:
        """Search by the id of a video in the store.

        Args:
            video: Its id.
            top: Maximum number of answers.
            itself: Whether the video itself may be among the answers.

        Raises:
            AvnasError: The store has no such video.
        """
        query = self.store.fetch([video])
        neighbors = [each for each in self._recall(query.packed, top, spare=1) if itself or each[0] != video]
        return self._answers(query, neighbors, top)

    def by_code(self, code: str, top: int = 10) -> list[Answer]:
        """Search by a code. Answers are not reranked, as a code alone has no relaxed code.

        Args:
            code: Packed code, two hexadecimal digits per byte, the first bit is the most significant.
            top: Maximum number of answers.

        Raises:
            AvnasError: The code is not hexadecimal, or has another length than the store's.
        """
        width = -(-self.store.bits // 8)
        try:
            packed = np.frombuffer(bytes.fromhex(code), np.uint8)
        except ValueError as error:
            raise AvnasError(f"code {code!r} is not hexadecimal") from error
        if len(packed) != width:
            raise AvnasError(
                f"code {code!r}: {8 * len(packed)} bits; {self.store.where} holds codes of {self.store.bits} bits, "
                f"{2 * width} hexadecimal digits"
            )
        return self._answers(None, self._recall(packed[None], top), top)

    def by_text(self, text: str, top: int = 10, label: str | None = None) -> list[Answer]:
        """Search by words.

        A rerank that is not for texts is left out. With a class, only its videos among the nearest 1,000 codes count.

        Args:
            text: The words.
            top: Maximum number of answers.
            label: Only videos of this class; None for all.

        Raises:
            AvnasError: The text is empty or too long, or the search has no text side or no such class.
        """
        if not text.strip():
            raise AvnasError("query by text: the text is empty")
        if label is not None and label not in self.store.class_names:
            raise AvnasError(f"query by text: {self.store.where} has no class {label!r}")
        network, encoder = self._text_side()
        query = network.encode_texts(encoder([" ".join(text.split())]), [""])
        query = replace(query, fingerprint=self.store.fingerprint)
        rerank = self.rerank if self.rerank is not None and "frames" in self.rerank.query_parts else None
        found = VideoSearch(self.store, rerank=rerank)
        neighbors = found._recall(query.packed, top if label is None else max(top, _FILTERED))
        if label is not None:
            neighbors = self._of_class(neighbors, label)
        answers = found._answers(query, neighbors, top)
        return self._with_steps(query, answers)

    def _of_class(self, neighbors: list[tuple[str, int]], label: str) -> list[tuple[str, int]]:
        """The neighbors of a class."""
        codes = self.store.fetch([video for video, _ in neighbors], False, False)
        if codes.labels is None:
            return []
        column = codes.labels[:, codes.class_names.index(label)]
        return [each for each, belongs in zip(neighbors, column.tolist(), strict=True) if belongs]

    def _with_steps(self, query: CodeSet, answers: list[Answer]) -> list[Answer]:
        """The answers with the time steps that a text gates most, where the store keeps time steps of its width."""
        kept, width = self.store.header.frames, query.frames.shape[2] if query.frames is not None else 0
        if not answers or kept is None or kept[1] not in (width, 2 * width):
            return answers
        steps = best_frames(query, self.store.fetch([answer.id for answer in answers], False))
        return [replace(answer, step=step) for answer, step in zip(answers, steps.tolist(), strict=True)]

    def _text_side(self) -> "tuple[TextHashNetwork, TextEncoder]":
        from avhash_nas.networks import TextHashNetwork

        if not isinstance(self.network, TextHashNetwork) or self.text is None:
            raise AvnasError(
                f"query by text: the network of {self.store.where} has no text side; train one by avnas fit "
                "--network=text_paired --network.video=RUN, which searches the same store"
            )
        return self.network, self.text

    def _network(self) -> "HashNetwork":
        if self.network is None:
            raise AvnasError("query by video: needs the network that computed the codes")
        return self.network

    def _encode(self, visual: NDArray[np.float32], audio: NDArray[np.float32]) -> CodeSet:
        """Code and relaxed code of one video."""
        import torch  # not needed by queries by id and by code

        from avhash_nas.codes import halve, pack
        from avhash_nas.networks.video_network import evaluating

        network = self._network()
        arguments = network.arguments()
        for name, features in (("visual", visual), ("audio", audio)):
            if features.ndim != 2 or features.shape[1] != arguments[f"{name}_dim"]:
                expected = f"(T, {arguments[f'{name}_dim']})"
                raise AvnasError(f"query: {name} features of shape {features.shape}; the network takes {expected}")
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
        """Ids and distances of the nearest codes: as many as the rerank needs, and some to spare."""
        if top < 1:
            raise AvnasError(f"top must be at least 1, got {top}")
        depth = max(top, self.rerank.depth if self.rerank is not None else 0)
        return self.store.search(packed, depth + spare).of(0)

    def _answers(self, query: CodeSet | None, neighbors: list[tuple[str, int]], top: int) -> list[Answer]:
        """Reranks and truncates neighbors, and adds labels."""
        reranked = self.rerank is not None and query is not None
        parts = self.rerank.database_parts if self.rerank is not None and reranked else ()
        neighbors = neighbors if reranked else neighbors[:top]
        candidates = self.store.fetch([video for video, _ in neighbors], "values" in parts, "frames" in parts)
        order, scores = np.arange(len(neighbors)), np.empty(0, np.float32)
        if self.rerank is not None and query is not None:
            order, scores = self.rerank.order(query, candidates)
        return [
            Answer(
                id=neighbors[row][0],
                distance=neighbors[row][1],
                score=float(scores[position]) if position < len(scores) else None,
                labels=_names(candidates, row),
            )
            for position, row in enumerate(order[:top].tolist())
        ]


def _names(codes: CodeSet, row: int) -> tuple[str, ...]:
    """Names of a video's classes."""
    if codes.labels is None:
        return ()
    return tuple(codes.class_names[column] for column in codes.labels[row].nonzero()[0].tolist())
