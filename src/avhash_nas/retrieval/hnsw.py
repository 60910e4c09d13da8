"""Approximate search by a graph of neighbors (hierarchical navigable small worlds)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.index_kind import Answers, IndexKind, NumberedCodes, Numbers, Packed, Progress, blocks, faiss

_MISSING = np.iinfo(np.int32).max


@dataclass
class DistinctCodes:
    """A graph of distinct codes, and the numbers of the codes that are equal to each of them.

    Attributes:
        graph: FAISS index of U codes, the nodes.
        numbers: Numbers of the codes, node after node, ascending within a node, (n,).
        starts: Where each node's numbers start, and n, (U + 1,).
    """

    graph: Any
    numbers: Numbers
    starts: Numbers

    @classmethod
    def of(cls, graph: Any, nodes: Numbers, numbers: Numbers) -> Self:
        """From the node of each number; numbers are ascending."""
        starts = np.searchsorted(np.sort(nodes), np.arange(graph.ntotal + 1))
        return cls(graph, numbers[np.argsort(nodes, kind="stable")], starts)

    @property
    def nodes(self) -> Numbers:
        """The node of each of `numbers`, (n,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def empty(self) -> int:
        """Number of nodes whose codes were all removed."""
        return int((np.diff(self.starts) == 0).sum())

    def codes(self) -> Packed:
        """The distinct codes, (U, bytes)."""
        library = faiss()
        stored = library.vector_to_array(library.downcast_IndexBinary(self.graph.storage).xb)
        packed: Packed = stored.reshape(self.graph.ntotal, self.graph.code_size)
        return packed

    def drop(self, numbers: Numbers) -> None:
        """Takes numbers out; nodes stay."""
        kept = ~np.isin(self.numbers, numbers)
        self.starts = np.concatenate([[0], np.cumsum(kept)])[self.starts]
        self.numbers = self.numbers[kept]

    def expand(self, distances: NDArray[np.int32], nodes: Numbers, top: int) -> Answers:
        """The first `top` codes of each query from its nodes, nearest first; (n, top), padded with the number -1."""
        found = np.full((len(nodes), top), _MISSING, np.int32), np.full((len(nodes), top), -1, np.int64)
        for query, of_query in enumerate(nodes):
            known = np.flatnonzero(of_query >= 0)  # FAISS pads with -1, at the least distance there is
            known = known[np.argsort(distances[query, known], kind="stable")]
            starts = self.starts[of_query[known]]
            counts = np.minimum(self.starts[of_query[known] + 1] - starts, top)
            before = np.cumsum(counts) - counts
            places = np.arange(counts.sum()) + np.repeat(starts - before, counts)
            count = min(top, len(places))
            found[0][query, :count] = np.repeat(distances[query, known], counts)[:count]
            found[1][query, :count] = self.numbers[places[:count]]
        return found


class HNSW(IndexKind):
    """Approximate search: a graph connects each code with near ones, and a query walks along it.

    A code that several videos share is one node of the graph: copies of a code would fill each other's neighbor lists
    and cut off the rest. Codes without a video left stay as waypoints; the graph is rebuilt once they are more than one
    in five. It takes about 10 m bytes per distinct code, and is slow to build.

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
    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> DistinctCodes:
        graph = faiss().IndexBinaryHNSW(8 * codes.packed.shape[1], self.m)
        nothing = np.empty(0, np.int64)
        return self.add(DistinctCodes.of(graph, nothing, nothing), codes, progress)

    @override
    def add(self, index: DistinctCodes, codes: NumberedCodes, progress: Progress | None = None) -> DistinctCodes:
        graph, known = index.graph, index.graph.ntotal
        nodes, fresh = _assign(index.codes(), codes.packed)
        graph.hnsw.efConstruction = self.ef_construction
        for block in blocks(NumberedCodes(codes.packed[fresh], known + np.arange(len(fresh))), progress):
            graph.add(block.packed)
        if progress and not len(fresh):
            progress(len(codes), len(codes))
        order = np.argsort(index.numbers)
        every = np.concatenate([index.nodes[order], nodes]), np.concatenate([index.numbers[order], codes.numbers])
        return DistinctCodes.of(graph, *every)

    @override
    def remove(self, index: DistinctCodes, numbers: Numbers, left: int) -> bool:
        index.drop(numbers)
        return bool(5 * index.empty <= index.graph.ntotal)

    @override
    def search(self, index: DistinctCodes, codes: NumberedCodes, queries: Packed, top: int) -> Answers:
        count = min(index.graph.ntotal, 2 * top if index.empty else top)  # some answers may be empty nodes
        parameters = faiss().SearchParametersHNSW(efSearch=max(self.ef_search, count))
        distances, nodes = index.graph.search(np.ascontiguousarray(queries), count, params=parameters)
        return index.expand(distances, nodes, top)

    @override
    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        raise AvnasError("hnsw: Milvus has no such index for binary vectors; use flat or ivf")

    @override
    def postgres_index(self, codes: int) -> tuple[str, dict[str, int], dict[str, int]]:
        options = {"m": self.m, "ef_construction": max(self.ef_construction, 2 * self.m)}  # pgvector takes no less
        return "hnsw", options, {"hnsw.ef_search": self.ef_search}

    @override
    def to_arrays(self, index: DistinctCodes) -> dict[str, NDArray[Any]]:
        return {**super().to_arrays(index.graph), "hnsw_numbers": index.numbers, "hnsw_starts": index.starts}

    @override
    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> DistinctCodes:
        graph = super().from_arrays(arrays)
        if "hnsw_starts" in arrays:
            return DistinctCodes(graph, arrays["hnsw_numbers"], arrays["hnsw_starts"])
        numbers = arrays["numbers"]  # an earlier version: every code is a node, in the order of its number
        return DistinctCodes.of(graph, numbers, numbers)


def _assign(known: Packed, new: Packed) -> tuple[Numbers, Numbers]:
    """The node of each new code, and the positions of those that need a node of their own.

    Args:
        known: Codes of the nodes; equal ones only in files of an earlier version.
        new: Codes, (n, bytes).
    """
    every = np.ascontiguousarray(np.concatenate([known, new]))
    _, first, inverse = np.unique(every.view(f"V{every.shape[1]}").ravel(), return_index=True, return_inverse=True)
    fresh = np.sort(first[first >= len(known)])
    node = np.arange(len(every))
    node[fresh] = len(known) + np.arange(len(fresh))
    return node[first[inverse[len(known) :]]], fresh - len(known)
