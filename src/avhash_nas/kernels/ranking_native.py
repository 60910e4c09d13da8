"""Hamming distances, and ranks of relevant items without sorting, by a C++ library, compiled when first needed.

`avhash_nas.kernels.compiled` says where the library is kept and how it is left out.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from avhash_nas.kernels.compiled import compiled, loaded

_SOURCE = Path(__file__).with_suffix(".cpp")
Words: TypeAlias = npt.NDArray[np.uint64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.int64]


class NativeRanking:
    """The library's functions. They let other threads of Python run meanwhile, and use one thread each.

    Codes are words of 64 bits, word by word: (W, n).

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
        """Counts the bits in which each pair of codes differs.

        Args:
            a: Codes, (W, n).
            b: Codes, (W, m).
            out: The distances, (n, m), contiguous; integers of 8, 16 or 32 bits that can hold 64 W.
        """
        self._distances[out.itemsize](*_codes(a, b), out.ctypes.data)

    def rank(
        self, queries: Words, words: Words, labels: Bools, members: Bools, own: Integers, most_hits: int, bits: int
    ) -> tuple[Integers, Integers, Integers]:
        """Ranks items by distance, those at one distance in the order in which they come.

        Args:
            queries: Codes, (W, rows).
            words: Codes of the items, (W, items).
            labels: Whether the query has the class, (rows, C).
            members: Whether the class has the item, (C, items); items are relevant that share a class with the query.
            own: The item that is taken out of the query's ranking, or -1: (rows,).
            most_hits: At least the number of relevant items, over all these queries.
            bits: Length q of a code.

        Returns:
            Items and relevant items at distance 0..q, both (rows, q + 1), and the ranks of the relevant items from 1,
            ascending, one query after the other, (hits,).
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
    """Compiles the library if the cache has none, once per process.

    Returns:
        Its functions; None where it cannot be had, which a warning says, unless the user wants none.
    """
    return loaded(
        lambda: NativeRanking(compiled(_SOURCE, "ranking", with_torch=False)[0]),
        "evaluation: by NumPy, as the compiled ranking, several times as fast, cannot be had",
    )


def _codes(a: Words, b: Words) -> tuple[int, int, int, int, int]:
    """Both matrices and their sizes as the library takes them."""
    if not (a.flags.c_contiguous and b.flags.c_contiguous) or len(a) != len(b):
        raise ValueError(f"codes: expected contiguous (W, n) and (W, m), got {a.shape} and {b.shape}")
    return a.ctypes.data, a.shape[1], b.ctypes.data, len(b), b.shape[1]
