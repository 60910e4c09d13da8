"""Ways to search codes: exact, or approximate and faster."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError, MissingExtraError

Packed = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Distances = NDArray[np.int32]
Progress = Callable[[int, int], None]

BLOCK = 100_000
"""Codes that are handed to FAISS in one call; an interrupt gets through between calls."""


@dataclass(frozen=True)
class NumberedCodes:
    """Codes and the numbers by which an index knows them.

    Attributes:
        packed: 8 bits to a byte, shape (n, bytes).
        numbers: Ascending, shape (n,); none is ever given to another code.
    """

    packed: Packed
    numbers: Numbers

    def __len__(self) -> int:
        return len(self.numbers)


class IndexKind(ABC):
    """A way to search codes.

    A subclass returns all arguments of its constructor, as JSON values, from `arguments()`.
    """

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""

    @abstractmethod
    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        """Make an index.

        Args:
            codes: With the numbers 0 to n - 1.
            progress: Called with the number of codes that are in and the number of all.

        Returns:
            A FAISS index, or None if nothing is kept beside the codes.

        Raises:
            AvnasError: The options do not fit that many codes.
        """

    @abstractmethod
    def add(self, index: Any, codes: NumberedCodes, progress: Progress | None = None) -> None:
        """Add codes to an index; their numbers are above all former ones."""

    @abstractmethod
    def remove(self, index: Any, numbers: Numbers, left: int) -> bool:
        """Take codes out of an index.

        Args:
            index: What `build` made.
            numbers: Of the codes that are removed.
            left: How many codes are left.

        Returns:
            Whether the index can be used on; if not, it must be built anew.
        """

    @abstractmethod
    def search(self, index: Any, codes: NumberedCodes, queries: Packed, top: int) -> tuple[Distances, Numbers]:
        """The nearest codes of each query.

        Args:
            index: What `build` made.
            codes: All codes of the store.
            queries: Shape (n, bytes).
            top: How many are wanted, at most the number of codes.

        Returns:
            Distances and numbers, both (n, k) with k at least `top`, in any order; number -1 where fewer were found.
            Numbers of codes that were removed may be among them.
        """

    @abstractmethod
    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The same way in Milvus: type of the index, its parameters, parameters of a search.

        Args:
            codes: Number of codes.

        Raises:
            AvnasError: Milvus has no such index for binary vectors.
        """

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
            found = getattr(importlib.import_module(module), name)
            if not (isinstance(found, type) and issubclass(found, cls)):
                raise AvnasError(f"{module}.{name}: is no {cls.__name__}")
            return found(**data["arguments"])
        except (ImportError, AttributeError, ValueError, KeyError, TypeError) as error:
            raise AvnasError(f"{module}.{name}: cannot be made: {error}") from error


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
    """One OpenMP thread for a single query.

    It takes less time than the threads need to find each other, and threads that spin while they wait make it a hundred
    times slower on a busy machine. The setting is the calling thread's own and is put back.

    Args:
        queries: How many are searched at once.
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
