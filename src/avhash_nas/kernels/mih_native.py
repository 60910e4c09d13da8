"""Tables of substrings and exact search in them, by a C++ library, compiled when first needed.

`avhash_nas.kernels.compiled` says where the library is cached and how to switch it off.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from avhash_nas.kernels.compiled import compile_library, load_or_warn

_SOURCE = Path(__file__).with_suffix(".cpp")
MOST_BITS = 256
Words: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class SubstringTables:
    """All codes, sorted by each of m substrings; substring j has the bits after those of the substrings before it.

    Attributes:
        lengths: Bits of each substring, shape (m,), int64; their sum is the number of bits of a code.
        offsets: First entry of each bucket and the end of the last, 2^length + 1 a table, one table after the other.
        codes: The codes in the order of each table, shape (m, n, W), words of 64 bits.
        rows: The row of each entry's code, shape (m, n); ascending within a bucket.
    """

    lengths: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.uint32]
    codes: Words
    rows: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return int(self.rows.shape[1])

    def words(self) -> Words:
        """The codes by row, shape (n, W)."""
        words: Words = np.empty_like(self.codes[0])
        words[self.rows[0]] = self.codes[0]
        return words


@dataclass(frozen=True)
class SearchResult:
    """The k nearest codes of each query, by distance and at equal distance by row.

    Attributes:
        distances: Hamming distances, shape (queries, k).
        rows: Rows of the codes, likewise.
        work: Buckets looked up, codes compared in them, and codes scanned, shape (queries, 3).
    """

    distances: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int64]
    work: npt.NDArray[np.int64]


class NativeMIH:
    """The library's functions, each in one thread; other Python threads run meanwhile.

    Args:
        library: The compiled file.

    Raises:
        OSError: It cannot be loaded.
    """

    def __init__(self, library: Path) -> None:
        functions = ctypes.CDLL(str(library))
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        self._build, self._search = functions.mih_build, functions.mih_search
        self._build.argtypes = (pointer, *(integer,) * 4, *(pointer,) * 3)
        self._search.argtypes = (
            *(*(integer,) * 4, *(pointer,) * 5),
            *(integer, integer, ctypes.c_int32, *(pointer,) * 3),
        )
        self._build.restype = self._search.restype = None

    def build(self, words: Words, lengths: list[int]) -> SubstringTables:
        """Sorts codes into tables.

        Args:
            words: Codes, shape (n, W) with n < 2^32 and W <= 4; the bits of a code begin at the lowest of word 0.
            lengths: Bits of each substring, from 1 to 31.
        """
        words = np.ascontiguousarray(words)
        count, width = words.shape
        offsets = np.empty(sum(2**length + 1 for length in lengths), np.uint32)
        codes = np.empty((len(lengths), count, width), np.uint64)
        rows = np.empty((len(lengths), count), np.uint32)
        start = offset = 0
        for j, length in enumerate(lengths):
            outputs = (offsets[offset:].ctypes.data, codes[j].ctypes.data, rows[j].ctypes.data)
            self._build(words.ctypes.data, count, width, start, length, *outputs)
            start, offset = start + length, offset + 2**length + 1
        return SubstringTables(np.array(lengths, np.int64), offsets, codes, rows)

    def search(self, tables: SubstringTables, queries: Words, k: int, *, always_tables: bool = False) -> SearchResult:
        """Finds the nearest codes, by tables, or by a scan where the tables would take longer.

        Args:
            tables: Made by `build`; mapped arrays are read in place.
            queries: Shape (queries, W).
            k: From 1 to n.
            always_tables: Never scan, for tests.
        """
        queries = np.ascontiguousarray(queries)
        shape = (len(queries), k)
        result = SearchResult(np.empty(shape, np.int32), np.empty(shape, np.int64), np.empty((shape[0], 3), np.int64))
        parts = (tables.lengths, tables.offsets, tables.codes, tables.rows)
        self._search(
            *(len(tables), queries.shape[1], int(tables.lengths.sum()), len(tables.lengths)),
            *(part.ctypes.data for part in parts),
            *(queries.ctypes.data, len(queries), k, int(always_tables)),
            *(result.distances.ctypes.data, result.rows.ctypes.data, result.work.ctypes.data),
        )
        return result


@cache
def native_mih() -> NativeMIH | None:
    """Compiles the library if the cache has none, once per process.

    Returns:
        Its functions; None where it cannot be built, with a warning unless the user switched it off.
    """
    return load_or_warn(
        lambda: NativeMIH(compile_library(_SOURCE, "multi-index hashing", with_torch=False)[0]),
        "the index scans all codes, as the compiled multi-index hashing is unavailable",
    )
