"""A store of codes: what is searched, and where it is kept."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet, Ids, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.index_kind import IndexKind, Progress

_MILVUS = "milvus:"


@dataclass(frozen=True)
class Found:
    """The nearest codes of each of n queries, nearest first.

    Attributes:
        ids: Shape (n, k), k = min(top, number of codes), less if an approximate search found fewer for each query; `""`
            where it found fewer for one.
        distances: Hamming distances, int32, same shape; -1 where the id is `""`.
    """

    ids: Ids
    distances: NDArray[np.int32]

    def of(self, query: int) -> list[tuple[str, int]]:
        """Ids and distances of one query, as many as were found."""
        pairs = zip(self.ids[query].tolist(), self.distances[query].tolist(), strict=True)
        return [(found, distance) for found, distance in pairs if distance >= 0]


@dataclass(frozen=True)
class StoreHeader:
    """What a store says of all of its codes.

    Attributes:
        bits: Code length q.
        fingerprint: Of the network that made the codes (`HashNetwork.fingerprint`).
        kind: How they are searched.
        class_names: Names of the C classes; empty without labels.
        extraction: How features were made from video files, or None.
        values: Whether the network's relaxed codes are kept.
        frames: Shape (T, d) of what is kept for each time step, or None.
    """

    bits: int
    fingerprint: str
    kind: IndexKind
    class_names: tuple[str, ...] = ()
    extraction: dict[str, Any] | None = None
    values: bool = False
    frames: tuple[int, int] | None = None


class CodeStore(ABC):
    """Codes of one network, found by Hamming distance and by id.

    What `add` and `remove` did is kept when they return. Equal distances come in an order that is the same each time;
    the store's class says which.

    Attributes:
        where: What `open_store` was given.
    """

    where: str

    @property
    @abstractmethod
    def header(self) -> StoreHeader:
        """What holds for all codes."""

    @property
    def bits(self) -> int:
        """Code length q."""
        return self.header.bits

    @property
    def fingerprint(self) -> str:
        """Of the network that made the codes."""
        return self.header.fingerprint

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the C classes; empty without labels."""
        return self.header.class_names

    @property
    def extraction(self) -> dict[str, Any] | None:
        """How features were made from video files (`extraction.json`), or None."""
        return self.header.extraction

    @abstractmethod
    def __len__(self) -> int:
        """Number of codes."""

    @abstractmethod
    def __contains__(self, video: object) -> bool:
        """Whether there is a code of that id."""

    @abstractmethod
    def first_ids(self, count: int = 100) -> list[str]:
        """Ids of some videos, always the same ones, for a user to begin with.

        Args:
            count: How many at most.
        """

    @abstractmethod
    def search(self, packed: Packed, top: int) -> Found:
        """The nearest codes.

        A single query is answered by one thread, several by as many as OpenMP is allowed (`OMP_NUM_THREADS`).

        Args:
            packed: n queries, packed as `avhash_nas.codes.pack` does, shape (n, ceil(q / 8)).
            top: How many are wanted for each, at least 1; more than there are gives all.

        Raises:
            AvnasError: The queries have another length than the store's codes.
        """

    @abstractmethod
    def fetch(self, ids: Sequence[str], values: bool = True, frames: bool = True) -> CodeSet:
        """What is kept of some videos.

        Args:
            ids: Distinct ids, in the order wanted.
            values: Whether to bring the relaxed codes, where they are kept.
            frames: Whether to bring the vectors of the time steps, where they are kept.

        Raises:
            AvnasError: There is no code of that id.
        """

    @abstractmethod
    def add(self, codes: CodeSet, replace: bool = False, progress: Progress | None = None) -> None:
        """Add codes; all or none.

        What the store keeps beside the codes (values, frames) they must have; what it does not keep is left out.
        Classes that the store has not met before are added to its own.

        Args:
            codes: Of the store's network.
            replace: Whether codes of ids that are there take the place of the old ones.
            progress: Called with the number of codes that are in and the number of all.

        Raises:
            AvnasError: Codes of another network or length, an id that is there, or the store cannot be written.
        """

    @abstractmethod
    def remove(self, ids: Sequence[str]) -> int:
        """Remove videos.

        Args:
            ids: Those that are not there are passed over.

        Returns:
            How many were there.
        """

    @abstractmethod
    def size(self) -> int:
        """Bytes that the store takes, as far as they can be told; 0 where they cannot."""

    def check_kept(self, codes: CodeSet) -> None:
        """See that codes have what the store keeps beside them.

        Raises:
            AvnasError: They do not.
        """
        wanted = {"values": (self.bits,) if self.header.values else None, "frames": self.header.frames}
        for name, shape in wanted.items():
            array = getattr(codes, name)
            if shape is not None and (array is None or array.shape[1:] != shape):
                has = f"no {name}" if array is None else f"{name} of shape {array.shape[1:]}"
                raise AvnasError(
                    f"{self.where}: keeps {name} of shape {shape} for each video; the new codes have {has}"
                )

    def check_codes(self, bits: int, fingerprint: str, source: str) -> None:
        """See that codes can be compared with the store's.

        Args:
            bits: Their length.
            fingerprint: Of the network that made them.
            source: What they are, for the message.

        Raises:
            AvnasError: They cannot.
        """
        if bits != self.bits:
            raise AvnasError(f"{source}: codes of {bits} bits; {self.where} holds codes of {self.bits} bits")
        if fingerprint != self.fingerprint:
            raise AvnasError(
                f"{source}: codes of network {fingerprint}; {self.where} holds codes of network {self.fingerprint}, "
                "with which they cannot be compared"
            )

    def check_queries(self, packed: Packed, top: int) -> None:
        """Raises AvnasError unless these are codes of the store's length and `top` is at least 1."""
        width = -(-self.bits // 8)
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != width:
            raise AvnasError(
                f"query: {packed.dtype} of shape {packed.shape}; {self.where} holds codes of {self.bits} bits, "
                f"{width} bytes each"
            )
        if top < 1:
            raise AvnasError(f"top must be at least 1, got {top}")


def open_store(where: str) -> CodeStore:
    """Open a store that `create_store` made.

    Args:
        where: The path of a file with a FAISS index, or `milvus:URI` with an optional `#collection`; the URI is a local
            file (`milvus:codes.db`) or a server (`milvus:http://localhost:19530`).

    Raises:
        AvnasError: There is none, or it is damaged.
        MissingExtraError: FAISS or Milvus is not installed.
    """
    if where.startswith(_MILVUS):
        from avhash_nas.retrieval.milvus_store import MilvusStore

        return MilvusStore.open(where.removeprefix(_MILVUS))
    from avhash_nas.retrieval.faiss_store import FaissStore

    return FaissStore.open(where)


def create_store(
    where: str,
    codes: CodeSet,
    kind: IndexKind | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> CodeStore:
    """Make a store of codes.

    A store that is there stays as it is until the new one is whole.

    Args:
        where: As `open_store` takes it.
        codes: At least one; what they have beside the codes (values, frames, labels) is kept with them.
        kind: How they are searched; exactly by default.
        replace: Whether the store takes the place of one that is there.
        progress: Called with the number of codes that are in and the number of all.

    Raises:
        AvnasError: There is one already, the kind does not fit, or it cannot be written.
        MissingExtraError: FAISS or Milvus is not installed.
    """
    from avhash_nas.retrieval.flat import Flat

    if not len(codes):
        raise AvnasError(f"{where}: an index needs at least one code")
    kind = kind or Flat()
    if where.startswith(_MILVUS):
        from avhash_nas.retrieval.milvus_store import MilvusStore

        return MilvusStore.create(where.removeprefix(_MILVUS), codes, kind, replace, progress)
    from avhash_nas.retrieval.faiss_store import FaissStore

    return FaissStore.create(where, codes, kind, replace, progress)
