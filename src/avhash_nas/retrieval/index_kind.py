"""The interface of an index: exact, or approximate and faster."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError, MissingExtraError

Packed = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Answers = tuple[NDArray[np.int32], Numbers]
"""Distances and numbers."""
Progress = Callable[[int, int], None]

BLOCK = 100_000
"""Codes passed to FAISS in one call; Ctrl-C takes effect between calls."""


@dataclass(frozen=True)
class NumberedCodes:
    """Codes and their numbers in an index.

    Attributes:
        packed: 8 bits to a byte, shape (n, bytes).
        numbers: Ascending, shape (n,); never reused for another code.
    """

    packed: Packed
    numbers: Numbers

    def __len__(self) -> int:
        return len(self.numbers)


def blocks(codes: NumberedCodes, progress: Progress | None) -> Iterator[NumberedCodes]:
    """Contiguous blocks of codes; progress is reported after each."""
    for start in range(0, len(codes), BLOCK):
        part = slice(start, start + BLOCK)
        yield NumberedCodes(np.ascontiguousarray(codes.packed[part]), codes.numbers[part])
        if progress:
            progress(min(start + BLOCK, len(codes)), len(codes))


class IndexKind(ABC):
    """A way to search codes."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""

    @abstractmethod
    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        """Builds an index.

        Args:
            codes: Numbered 0 to n - 1.
            progress: Called with the number of codes added so far and the total.

        Returns:
            A FAISS index, or None if the codes alone are enough.

        Raises:
            AvnasError: The options do not suit the number of codes.
        """

    @abstractmethod
    def add(self, index: Any, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        """Adds codes; their numbers are larger than all previous ones.

        Returns:
            The index with the codes: the same object, or another.
        """

    @abstractmethod
    def remove(self, index: Any, numbers: Numbers, left: int) -> bool:
        """Removes codes from an index.

        Args:
            index: Result of `build`.
            numbers: Numbers of the removed codes.
            left: Number of remaining codes.

        Returns:
            Whether the index remains usable; otherwise it must be rebuilt.
        """

    @abstractmethod
    def search(self, index: Any, codes: NumberedCodes, queries: Packed, top: int) -> Answers:
        """Finds the nearest codes of each query.

        Args:
            index: Result of `build`.
            codes: All codes of the store.
            queries: Shape (n, bytes).
            top: Number of neighbors, at most the number of codes.

        Returns:
            Distances and numbers, both (n, k) with k >= `top`, in any order, padded with the number -1. They may
            include removed codes.
        """

    @abstractmethod
    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The equivalent in Milvus for a number of codes: index type, index parameters and search parameters.

        Raises:
            AvnasError: Milvus has no such index for binary vectors.
        """

    def postgres_index(self, codes: int) -> tuple[str, dict[str, int], dict[str, int]] | None:  # noqa: ARG002
        """The equivalent of pgvector for a number of codes: method, its options, and settings of a search.

        Returns:
            None if no index is needed.

        Raises:
            AvnasError: pgvector has no such index for bits.
        """
        raise AvnasError(f"{type(self).__name__.lower()}: pgvector has no such index for bits; take flat, ivf or hnsw")

    def to_arrays(self, index: Any) -> dict[str, NDArray[Any]]:
        """The index as arrays by name, for the store's file; none if the codes alone are enough."""
        return {} if index is None else {"index": faiss().serialize_index_binary(index)}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Inverse of `to_arrays`.

        Args:
            arrays: All arrays of the store's file, memory-mapped.

        Raises:
            RuntimeError: They are damaged.
        """
        return faiss().deserialize_index_binary(arrays["index"]) if "index" in arrays else None

    def to_dict(self) -> dict[str, Any]:
        """Class and arguments as JSON values."""
        return {"class": f"{type(self).__module__}.{type(self).__qualname__}", "arguments": self.arguments()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            AvnasError: There is no such class, or it takes other arguments.
        """
        module, _, name = str(data.get("class")).rpartition(".")
        try:
            kind = getattr(importlib.import_module(module), name)
            if not (isinstance(kind, type) and issubclass(kind, cls)):
                raise AvnasError(f"{module}.{name}: not an {cls.__name__}")
            return kind(**data["arguments"])
        except (ImportError, AttributeError, ValueError, KeyError, TypeError) as error:
            raise AvnasError(f"{module}.{name}: cannot be created: {error}") from error


def faiss() -> Any:
    """The package `faiss`.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise MissingExtraError("faiss", "index", "an index of codes in a file") from error


@contextmanager
def threads_for(queries: int) -> Iterator[None]:
    """Limits a single query to one OpenMP thread, for the calling thread and the duration of the block.

    A single query takes less time than synchronizing threads, and on a busy machine spinning threads slow it down a
    hundredfold.
    """
    if queries != 1:
        yield
        return
    library = faiss()
    before = library.omp_get_max_threads()
    library.omp_set_num_threads(1)
    try:
        yield
    finally:
        library.omp_set_num_threads(before)
