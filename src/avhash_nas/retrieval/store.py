"""The interface of a store of codes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet, Ids, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.index_kind import IndexKind, Progress

_FORMAT = 1


@dataclass(frozen=True)
class Neighbors:
    """The nearest codes of each of n queries, nearest first.

    Attributes:
        ids: Shape (n, k), k = min(top, number of codes), or less if an approximate search finds fewer for every query.
            A query with fewer than k neighbors is padded with `""`.
        distances: Hamming distances, int32, same shape; -1 where the id is `""`.
    """

    ids: Ids
    distances: NDArray[np.int32]

    def of(self, query: int) -> list[tuple[str, int]]:
        """Ids and distances of one query, without padding."""
        pairs = zip(self.ids[query].tolist(), self.distances[query].tolist(), strict=True)
        return [(video, distance) for video, distance in pairs if distance >= 0]


@dataclass(frozen=True)
class StoreHeader:
    """What holds for all codes of a store.

    Attributes:
        bits: Code length q.
        fingerprint: Fingerprint of the network that computed the codes (`HashNetwork.fingerprint`).
        kind: Index kind.
        class_names: Names of the C classes; empty without labels.
        extraction: Settings of the feature extraction, or None.
        values: Whether relaxed codes are stored.
        frames: Shape (T, d) of the vectors per time step, or None.
    """

    bits: int
    fingerprint: str
    kind: IndexKind
    class_names: tuple[str, ...] = ()
    extraction: dict[str, Any] | None = None
    values: bool = False
    frames: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `values` and `frames` follow from what is stored."""
        return {
            "format": _FORMAT,
            "bits": self.bits,
            "fingerprint": self.fingerprint,
            "kind": self.kind.to_dict(),
            "class_names": list(self.class_names),
            "extraction": self.extraction,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], values: bool, frames: tuple[int, int] | None, where: str) -> Self:
        """Inverse of `to_dict`.

        Raises:
            AvnasError: The format is unknown.
        """
        if data["format"] != _FORMAT:
            raise AvnasError(f"{where}: unknown index format {data['format']}; this version reads format {_FORMAT}")
        return cls(
            bits=data["bits"],
            fingerprint=data["fingerprint"],
            kind=IndexKind.from_dict(data["kind"]),
            class_names=tuple(data["class_names"]),
            extraction=data["extraction"],
            values=values,
            frames=frames,
        )


class CodeStore(ABC):
    """Codes of one network, searched by Hamming distance and looked up by id.

    `add` and `remove` are durable when they return. The order of equal distances is deterministic; each subclass
    documents its own.

    Attributes:
        where: Address, as passed to `open_store`.
        header: What holds for all codes.
    """

    def __init__(self, where: str, header: StoreHeader) -> None:
        self.where = where
        self.header = header

    @property
    def bits(self) -> int:
        """Code length q."""
        return self.header.bits

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the network that computed the codes."""
        return self.header.fingerprint

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the C classes; empty without labels."""
        return self.header.class_names

    @property
    def extraction(self) -> dict[str, Any] | None:
        """Settings of the feature extraction (`extraction.json`), or None."""
        return self.header.extraction

    @abstractmethod
    def __len__(self) -> int:
        """Number of codes."""

    @abstractmethod
    def __contains__(self, video: object) -> bool:
        """Whether a video is in the store."""

    @abstractmethod
    def first_ids(self, count: int = 100) -> list[str]:
        """Ids of up to `count` videos, the same ones on every call."""

    @abstractmethod
    def search(self, packed: Packed, top: int) -> Neighbors:
        """Finds the nearest codes.

        A single query runs on one thread, several on all threads of OpenMP (`OMP_NUM_THREADS`).

        Args:
            packed: n queries, packed by `avhash_nas.codes.pack`, shape (n, ceil(q / 8)).
            top: Number of neighbors per query, at least 1; capped by the size of the store.

        Raises:
            AvnasError: Queries and stored codes differ in length.
        """

    @abstractmethod
    def fetch(self, ids: Sequence[str], values: bool = True, frames: bool = True) -> CodeSet:
        """Looks videos up.

        Args:
            ids: Distinct ids; the result has their order.
            values: Whether to include relaxed codes, if stored.
            frames: Whether to include the vectors per time step, if stored.

        Raises:
            AvnasError: An id is not in the store.
        """

    @abstractmethod
    def add(self, codes: CodeSet, replace: bool = False, progress: Progress | None = None) -> None:
        """Adds all codes, or none on error.

        New codes need every part (values, frames) that the store holds; other parts are dropped. Unknown classes are
        appended to the store's.

        Args:
            codes: Codes of the store's network.
            replace: Whether codes overwrite those with the same id.
            progress: Called with the number of codes added so far and the total.

        Raises:
            AvnasError: The codes belong to another network, an id already exists, or writing fails.
        """

    @abstractmethod
    def remove(self, ids: Sequence[str]) -> int:
        """Removes videos, ignoring unknown ids, and returns the number removed."""

    @abstractmethod
    def size(self) -> int:
        """Size in bytes; 0 if unknown."""

    def check_kept(self, codes: CodeSet) -> None:
        """Raises AvnasError unless codes have the parts (values, frames) that the store holds."""
        shapes = {"values": (self.bits,) if self.header.values else None, "frames": self.header.frames}
        for name, shape in shapes.items():
            array = getattr(codes, name)
            if shape is not None and (array is None or array.shape[1:] != shape):
                has = f"no {name}" if array is None else f"{name} of shape {array.shape[1:]}"
                raise AvnasError(
                    f"{self.where}: keeps {name} of shape {shape} for each video; the new codes have {has}"
                )

    def check_codes(self, bits: int, fingerprint: str, source: str) -> None:
        """Raises AvnasError, naming their `source`, unless codes are comparable with the store's."""
        if bits != self.bits:
            raise AvnasError(f"{source}: codes of {bits} bits; {self.where} holds codes of {self.bits} bits")
        if fingerprint != self.fingerprint:
            raise AvnasError(
                f"{source}: codes of network {fingerprint}; {self.where} holds codes of network {self.fingerprint}, "
                "with which they cannot be compared"
            )

    def check_queries(self, packed: Packed, top: int) -> None:
        """Raises AvnasError unless queries have the store's code length and `top` is at least 1."""
        width = -(-self.bits // 8)
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != width:
            raise AvnasError(
                f"query: {packed.dtype} of shape {packed.shape}; {self.where} holds codes of {self.bits} bits, "
                f"{width} bytes each"
            )
        if top < 1:
            raise AvnasError(f"top must be at least 1, got {top}")
