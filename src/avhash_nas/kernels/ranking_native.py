"""Hamming distances and ranks of relevant items by a C++ library (see `avhash_nas.kernels.compiled`)."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from avhash_nas.kernels.compiled import compile_library, load_or_warn

_SOURCE = Path(__file__).with_suffix(".cpp")
Words: TypeAlias = npt.NDArray[np.uint64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.int64]


class NativeRanking:
    """The library's functions. Each uses one thread and releases the GIL. Codes are 64-bit words, (W, n).

    Args:
        library: The compiled file.

    Raises:
        OSError: It cannot be loaded.
    """

    def __init__(self, library: Path) -> None:
        functions = ctypes.CDLL(str(library))
        codes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._distances = {1: functions.distances_8, 2: functions.distances_16, 4: functions.distances_32}
        for function in self._distances.values():
            function.argtypes, function.restype = (*codes, ctypes.c_void_p), None
        self._rank = functions.rank
        outputs = (ctypes.c_void_p,) * 3
        classes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        self._rank.argtypes = (*codes, *classes, ctypes.c_void_p, ctypes.c_int64, *outputs)
        self._rank.restype = None

    def distances(self, a: Words, b: Words, out: npt.NDArray[Any]) -> None:
        """Hamming distances of codes (W, n) and (W, m), written to contiguous integers (n, m) that can hold 64 W."""
        self._distances[out.itemsize](*_codes(a, b), out.ctypes.data)

    def rank(
        self, queries: Words, words: Words, labels: Bools, members: Bools, own: Integers, most_hits: int, bits: int
    ) -> tuple[Integers, Integers, Integers]:
        """Ranks items by distance; tied items keep their order.

        Args:
            queries: Codes, (W, rows).
            words: Codes of the items, (W, items).
            labels: Whether the query has the class, (rows, C).
            members: Whether the class has the item, (C, items). Items that share a class are relevant.
            own: The item to exclude from the query's ranking, or -1: (rows,).
            most_hits: Upper bound on the number of relevant items of all queries.
            bits: Length q of a code.

        Returns:
            Items and relevant items at distance 0..q, both (rows, q + 1), and the ranks of the relevant items, from
            1, sorted by query, then rank, (hits,).
        """
        items, hits = np.zeros((2, len(own), bits + 1), np.int64)
        ranks = np.empty(most_hits, np.int64)
        labels, members = np.ascontiguousarray(labels), np.ascontiguousarray(members)
        own = np.ascontiguousarray(own, np.int64)
        classes = (labels.ctypes.data, members.ctypes.data, len(members))
        outputs = (items.ctypes.data, hits.ctypes.data, ranks.ctypes.data)
        self._rank(*_codes(queries, words), *classes, own.ctypes.data, bits, *outputs)
        return items, hits, ranks[: hits.sum()]


@cache
def native_ranking() -> NativeRanking | None:
    """Compiles or loads the library, once per process; warns and returns None if it is unavailable."""
    return load_or_warn(
        lambda: NativeRanking(compile_library(_SOURCE, "ranking", with_torch=False)[0]),
        "evaluation runs in NumPy, as the compiled ranking, several times as fast, is unavailable",
    )


def _codes(a: Words, b: Words) -> tuple[int, int, int, int, int]:
    """Pointers and sizes of both matrices."""
    if not (a.flags.c_contiguous and b.flags.c_contiguous) or len(a) != len(b):
        raise ValueError(f"codes: expected contiguous (W, n) and (W, m), got {a.shape} and {b.shape}")
    return a.ctypes.data, a.shape[1], b.ctypes.data, len(b), b.shape[1]
