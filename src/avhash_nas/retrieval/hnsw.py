"""Approximate search by a graph of neighbors (hierarchical navigable small worlds)."""

from typing import Any

import numpy as np
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.index_kind import Answers, IndexKind, NumberedCodes, Numbers, Packed, Progress, blocks, faiss


class HNSW(IndexKind):
    """Approximate search: a graph connects each code with near ones, and a query walks along it.

    Removed codes stay in the graph as waypoints and are filtered from the answers; the graph is rebuilt once more than
    one in five codes was removed. It takes about 10 m bytes per code and is slow to build. If many videos share a code,
    parts of the graph cannot be reached from others, whatever `ef_search` is (benchmarks/README.md).

    Args:
        m: Neighbors of a code (twice as many on the lowest layer). Larger: better recall, more time and memory.
        ef_construction: Candidates kept during insertion. Larger: a better graph, slower to build.
        ef_search: Candidates kept during search, at least the number of answers. Larger: better recall, slower.

    Raises:
        AvnasError: An argument is out of range.
    """

    def __init__(self, m: int = 16, ef_construction: int = 40, ef_search: int = 128) -> None:
        for name, value, minimum in (("m", m, 2), ("ef_construction", ef_construction, 1), ("ef_search", ef_search, 1)):
            if value < minimum:
                raise AvnasError(f"hnsw: {name} must be at least {minimum}, got {value}")
        self.m = m
        self.ef_construction = ef_construction
        self.ef_search = ef_search

    @override
    def arguments(self) -> dict[str, Any]:
        return {"m": self.m, "ef_construction": self.ef_construction, "ef_search": self.ef_search}

    @override
    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        index = faiss().IndexBinaryHNSW(8 * codes.packed.shape[1], self.m)
        return self.add(index, codes, progress)

    @override
    def add(self, index: Any, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        index.hnsw.efConstruction = self.ef_construction
        for block in blocks(codes, progress):
            index.add(block.packed)  # a code's number is its position in the graph
        return index

    @override
    def remove(self, index: Any, numbers: Numbers, left: int) -> bool:
        return bool(5 * (index.ntotal - left) <= index.ntotal)

    @override
    def search(self, index: Any, codes: NumberedCodes, queries: Packed, top: int) -> Answers:
        count = top if index.ntotal == len(codes) else min(index.ntotal, 2 * top)  # some answers may be removed codes
        parameters = faiss().SearchParametersHNSW(efSearch=max(self.ef_search, count))
        answers: Answers = index.search(np.ascontiguousarray(queries), count, params=parameters)
        return answers

    @override
    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        raise AvnasError("hnsw: Milvus has no such index for binary vectors; use flat or ivf")
