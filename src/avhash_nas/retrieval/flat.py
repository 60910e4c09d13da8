"""Exact search: every code is compared with the query."""

from typing import Any

import numpy as np

from avhash_nas.retrieval.index_kind import Distances, IndexKind, NumberedCodes, Numbers, Packed, Progress, faiss

_MEMORY = 2**28
"""Bytes that an exact search may work in."""


class Flat(IndexKind):
    """Exact search: every code is compared; nothing is kept beside the codes.

    A million codes of 64 bits are 8 MB, which one core goes through in about a millisecond; approximate search pays off
    from some ten million on (benchmarks/README.md).
    """

    def arguments(self) -> dict[str, Any]:
        """None."""
        return {}

    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> None:
        """Nothing to make."""

    def add(self, index: None, codes: NumberedCodes, progress: Progress | None = None) -> None:
        """Nothing to do."""

    def remove(self, index: None, numbers: Numbers, left: int) -> bool:  # noqa: ARG002
        """Nothing to do."""
        return True

    def search(self, index: None, codes: NumberedCodes, queries: Packed, top: int) -> tuple[Distances, Numbers]:  # noqa: ARG002
        """Compare all codes (`faiss.knn_hamming`)."""
        return exact_search(codes, queries, top)

    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:  # noqa: ARG002
        """`BIN_FLAT`."""
        return "BIN_FLAT", {}, {}


def exact_search(codes: NumberedCodes, queries: Packed, top: int) -> tuple[Distances, Numbers]:
    """The nearest codes, by distance and at equal distance by number; which ones are cut off follows the same order.

    FAISS counts codes by distance, which beats its heap but takes room for `top` codes at every distance.

    Args:
        codes: n codes; a mapped array is read as it is, without a copy.
        queries: Shape (m, bytes).
        top: At most n.

    Returns:
        Distances and numbers, both (m, top).
    """
    room = 8 * (8 * codes.packed.shape[1] + 1) * top  # bytes for one query
    step = max(1, _MEMORY // room)
    how = "mc" if room <= _MEMORY else "hc"  # counters or heap
    found = [
        faiss().knn_hamming(np.ascontiguousarray(queries[start : start + step]), codes.packed, top, how)
        for start in range(0, len(queries), step)
    ]
    return np.concatenate([each for each, _ in found]), codes.numbers[np.concatenate([rows for _, rows in found])]
