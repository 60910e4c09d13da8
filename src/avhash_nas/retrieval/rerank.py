"""The second stage of a search: the nearest codes, put in order by something finer than whole bits.

Ranking by Hamming distance is cheap and leaves many ties; only the first k videos of it (recall) are compared by what
costs more (rerank), as coarse-to-fine retrieval does (EERCF, Tian et al., AAAI 2024, arXiv:2401.00701).
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError

Part = Literal["values", "frames"]
Scores = NDArray[np.float32]


class Rerank(ABC):
    """A way to put the first k videos of a Hamming ranking in order.

    `scores` says how alike a query and its candidates are; `order` is what a search calls. What lies below k stays
    where it is, and so do videos of equal score among each other.

    Args:
        depth: k, how many of the nearest codes are compared anew.

    Attributes:
        query_parts: Parts of a `CodeSet` that the query must have.
        database_parts: Parts that the database must keep beside its codes.

    Raises:
        AvnasError: The depth is below 1.
    """

    query_parts: ClassVar[tuple[Part, ...]] = ("values",)
    database_parts: ClassVar[tuple[Part, ...]] = ()

    def __init__(self, depth: int = 100) -> None:
        if depth < 1:
            raise AvnasError(f"rerank: depth must be at least 1, got {depth}")
        self.depth = depth

    @abstractmethod
    def scores(self, query: CodeSet, candidates: CodeSet) -> Scores:
        """How alike a query and some videos are.

        Args:
            query: The query alone, n = 1, with `query_parts`.
            candidates: n videos with `database_parts`.

        Returns:
            Shape (n,); the higher, the more alike.
        """

    def order(self, query: CodeSet, candidates: CodeSet) -> tuple[NDArray[np.int64], Scores]:
        """The candidates in their new order.

        Args:
            query: The query alone, n = 1.
            candidates: n videos, nearest code first.

        Returns:
            Positions among the candidates, shape (n,): the first k by score, the rest as they came. And the scores of
            the first k in this order, shape (min(n, k),).
        """
        whole = len(candidates) <= self.depth
        scores = self.scores(query, candidates if whole else candidates.take(np.arange(self.depth)))
        first = np.argsort(-scores, kind="stable")
        return np.concatenate([first, np.arange(len(first), len(candidates))]), scores[first]

    def check(self, query: CodeSet, database: CodeSet) -> None:
        """See that both sides have what the comparison needs, before long work starts.

        Args:
            query: Any queries.
            database: Any videos of the database.

        Raises:
            AvnasError: A part is missing, or the codes are those of two networks.
        """
        for codes, parts in ((query, self.query_parts), (database, self.database_parts)):
            for name in parts:
                part(codes, name)
        if query.fingerprint != database.fingerprint:
            raise AvnasError(
                f"rerank: the query's code is of network {query.fingerprint}, the database's of {database.fingerprint}"
            )

    def bytes_per_video(self, database: CodeSet) -> int:
        """Bytes that the database keeps of a video beside its code for this comparison."""
        return sum(part(database, name).nbytes for name in self.database_parts) // max(1, len(database))


def part(codes: CodeSet, name: Part) -> NDArray[np.float16]:
    """What a code set keeps beside its codes.

    Raises:
        AvnasError: It does not.
    """
    found = codes.values if name == "values" else codes.frames
    if found is None:
        raise AvnasError(f"rerank: these codes were stored without {name}, which this way of reranking compares")
    return found
