"""Exact search in less than a scan: multi-index hashing."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.kernels.mih_native import MOST_BITS, SubstringTables, Words, native_mih
from avhash_nas.retrieval.flat import exact_search
from avhash_nas.retrieval.index_kind import Answers, IndexKind, NumberedCodes, Numbers, Packed, Progress

_PARTS = ("lengths", "offsets", "codes", "rows")


class MIH(IndexKind):
    """Exact search by tables of substrings (multi-index hashing).

    Every code is cut into m substrings, and codes near a query agree with it almost fully in at least one of them. The
    tables are looked up with growing radius until the answer is complete; a query for which that would take longer than
    a quarter of a scan (short codes, many answers, dense clusters) is scanned instead, in the same call. Answers are
    those of `flat`, ties included.

    Beside the codes themselves the tables take m (8 W + 4) bytes a code (W words of 64 bits) and up to 8 m bytes for
    their buckets: at 64 bits and 10 million codes 0.4 GB. They are memory-mapped. Adding and removing codes builds them
    anew, in about a second for 10 million codes and table.

    Source: Norouzi, Punjani and Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing", TPAMI 2014.

    Args:
        substring: Bits of a substring, at most; by default the logarithm of the number of codes (section 3.3 of the
            paper), so that a bucket holds about one code.

    Raises:
        AvnasError: The argument is out of range.
    """

    def __init__(self, substring: int | None = None) -> None:
        if substring is not None and not 1 <= substring <= 28:
            raise AvnasError(f"mih: substring must be from 1 to 28 bits, got {substring}")
        self.substring = substring

    @override
    def arguments(self) -> dict[str, Any]:
        return {"substring": self.substring}

    @override
    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> SubstringTables | None:
        if 8 * codes.packed.shape[1] > MOST_BITS:
            raise AvnasError(f"mih: codes of more than {MOST_BITS} bits are not supported; take flat")
        tables = self._tables(as_words(codes.packed), 8 * codes.packed.shape[1])
        if progress:
            progress(len(codes), len(codes))
        return tables

    @override
    def add(
        self, index: SubstringTables | None, codes: NumberedCodes, progress: Progress | None = None
    ) -> SubstringTables | None:
        if index is None:
            return None
        return self._tables(np.concatenate([index.words(), as_words(codes.packed)]), int(index.lengths.sum()))

    @override
    def remove(self, index: SubstringTables | None, numbers: Numbers, left: int) -> bool:
        return False

    @override
    def search(self, index: SubstringTables | None, codes: NumberedCodes, queries: Packed, top: int) -> Answers:
        library = native_mih()
        if index is None or library is None:
            return exact_search(codes, queries, top)
        result = library.search(index, as_words(queries), top)
        return result.distances, codes.numbers[result.rows]

    @override
    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        raise AvnasError("mih: Milvus has no such index of binary vectors; take flat or ivf")

    @override
    def to_arrays(self, index: SubstringTables | None) -> dict[str, NDArray[Any]]:
        return {} if index is None else {f"mih_{name}": getattr(index, name) for name in _PARTS}

    @override
    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> SubstringTables | None:
        if not all(f"mih_{name}" in arrays for name in _PARTS):
            return None
        return SubstringTables(*(arrays[f"mih_{name}"] for name in _PARTS))

    def _tables(self, words: Words, bits: int) -> SubstringTables | None:
        library = native_mih()
        return None if library is None else library.build(words, substring_lengths(bits, len(words), self.substring))


def as_words(packed: Packed) -> Words:
    """Packed codes as words of 64 bits, filled up with zeros: (n, bytes) to (n, W)."""
    width = -(-packed.shape[1] // 8)
    if packed.shape[1] != 8 * width:
        packed = np.pad(packed, [(0, 0), (0, 8 * width - packed.shape[1])])
    return np.ascontiguousarray(packed).view(np.uint64)


def substring_lengths(bits: int, codes: int, most: int | None = None) -> list[int]:
    """Lengths of the substrings that a code is cut into, which differ by one bit at most.

    Args:
        bits: Of a code.
        codes: Number of codes.
        most: Bits of a substring at most; by default about log2(codes).

    >>> substring_lengths(64, 10_000_000)
    [22, 21, 21]
    """
    most = most or min(max(round(math.log2(max(codes, 2))), 8), 24)
    count = -(-bits // most)
    return [bits // count + (j < bits % count) for j in range(count)]
