"""Exact search: every code is compared with the query."""

from typing import Any

import numpy as np
from typing_extensions import override

from avhash_nas.retrieval.index_kind import Answers, IndexKind, NumberedCodes, Numbers, Packed, Progress, faiss

_MEMORY = 2**28
"""Working memory of an exact search, in bytes."""


class Flat(IndexKind):
    """Exact search: every code is compared, and no index is stored.

    A million codes of 64 bits are 8 MB, which one core scans in about a millisecond; approximate search pays off from
    about ten million codes on (benchmarks/README.md).
    """

    @override
    def arguments(self) -> dict[str, Any]:
        return {}

    @override
    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> None:
        pass

    @override
    def add(self, index: None, codes: NumberedCodes, progress: Progress | None = None) -> None:
        pass

    @override
    def remove(self, index: None, numbers: Numbers, left: int) -> bool:
        return True

    @override
    def search(self, index: None, codes: NumberedCodes, queries: Packed, top: int) -> Answers:
        return exact_search(codes, queries, top)

    @override
    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        return "BIN_FLAT", {}, {}

    @override
    def postgres_index(self, codes: int) -> None:
        return None


def exact_search(codes: NumberedCodes, queries: Packed, top: int) -> Answers:
    """The nearest codes, ordered by distance, then number; the cutoff follows the same order.

    FAISS counts codes by distance, which is faster than its heap but needs room for `top` codes at every distance. A
    memory-mapped array of codes is not copied.
    """
    room = 8 * (8 * codes.packed.shape[1] + 1) * top  # bytes for one query
    step = max(1, _MEMORY // room)
    method = "mc" if room <= _MEMORY else "hc"  # counters or heap
    chunks = [
        faiss().knn_hamming(np.ascontiguousarray(queries[start : start + step]), codes.packed, top, method)
        for start in range(0, len(queries), step)
    ]
    distances, rows = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    return distances, codes.numbers[rows]
