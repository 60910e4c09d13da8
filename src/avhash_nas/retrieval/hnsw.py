"""Approximate search by a graph of neighbors (hierarchical navigable small worlds)."""

from typing import Any

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.index_kind import (
    BLOCK,
    Distances,
    IndexKind,
    NumberedCodes,
    Numbers,
    Packed,
    Progress,
    faiss,
)


class HNSW(IndexKind):
    """Approximate search: a graph connects each code with near ones, and a query walks along it.

    A graph cannot lose a code: a removed one still leads the way, but is answered no more, and once more than one in
    five was removed the graph is built anew. It takes some 10 m bytes a code and is slow to build. Where many videos
    share a code, parts of the graph are out of reach of others however much is sought (benchmarks/README.md).

    Args:
        m: Neighbors of a code (twice as many on the lowest layer). More find more, take longer and more memory.
        ef_construction: Candidates that are kept while neighbors are sought. More make a better graph, slower.
        ef_search: Candidates that a query keeps, at least as many as it is to find. More find more and take longer.

    Raises:
        AvnasError: An argument is out of range.
    """

    def __init__(self, m: int = 16, ef_construction: int = 40, ef_search: int = 128) -> None:
        for name, value, least in (("m", m, 2), ("ef_construction", ef_construction, 1), ("ef_search", ef_search, 1)):
            if value < least:
                raise AvnasError(f"hnsw: {name} must be at least {least}, got {value}")
        self.m = m
        self.ef_construction = ef_construction
        self.ef_search = ef_search

    def arguments(self) -> dict[str, Any]:
        """`m`, `ef_construction`, `ef_search`."""
        return {"m": self.m, "ef_construction": self.ef_construction, "ef_search": self.ef_search}

    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        """Connect one code after the other."""
        index = faiss().IndexBinaryHNSW(8 * codes.packed.shape[1], self.m)
        self.add(index, codes, progress)
        return index

    def add(self, index: Any, codes: NumberedCodes, progress: Progress | None = None) -> None:
        """Connect more codes; a code's number is its place in the graph."""
        index.hnsw.efConstruction = self.ef_construction
        for start in range(0, len(codes), BLOCK):
            index.add(np.ascontiguousarray(codes.packed[start : start + BLOCK]))
            if progress:
                progress(min(start + BLOCK, len(codes)), len(codes))

    def remove(self, index: Any, numbers: Numbers, left: int) -> bool:  # noqa: ARG002
        """Leave the graph as it is, while no more than one in five of its codes was removed."""
        return bool(5 * (index.ntotal - left) <= index.ntotal)

    def search(self, index: Any, codes: NumberedCodes, queries: Packed, top: int) -> tuple[Distances, Numbers]:
        """Walk along the graph, for twice as many answers where some of its codes were removed."""
        wanted = top if index.ntotal == len(codes) else min(index.ntotal, 2 * top)
        parameters = faiss().SearchParametersHNSW(efSearch=max(self.ef_search, wanted))
        found: tuple[Distances, Numbers] = index.search(np.ascontiguousarray(queries), wanted, params=parameters)
        return found

    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:  # noqa: ARG002
        """Milvus has none of binary vectors."""
        raise AvnasError("hnsw: Milvus has no such index of binary vectors; take flat or ivf")
