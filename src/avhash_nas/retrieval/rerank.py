"""The second stage of a search: the nearest codes are reordered by a finer measure of similarity.

Ranking by Hamming distance is cheap but leaves many ties. Only its first k videos (recall) are compared by a more
expensive measure (rerank), as in coarse-to-fine retrieval (EERCF, Tian et al., AAAI 2024, arXiv:2401.00701).
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
    """Reorders the first k videos of a Hamming ranking.

    Subclasses implement `scores`; a search calls `order`. Videos below k, and videos of equal score, keep their order.

    Args:
        depth: k, the number of nearest codes to rerank.

    Attributes:
        query_parts: Parts of a `CodeSet` that the query needs.
        database_parts: Parts that the database stores besides its codes.

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
        """Similarity of a query and some videos.

        Args:
            query: A single query, n = 1, with `query_parts`.
            candidates: n videos with `database_parts`.

        Returns:
            Shape (n,); higher is more similar.
        """

    def order(self, query: CodeSet, candidates: CodeSet) -> tuple[NDArray[np.int64], Scores]:
        """Ranks the candidates.

        Args:
            query: A single query, n = 1.
            candidates: n videos, nearest code first.

        Returns:
            Positions among the candidates, shape (n,), the first k by score and the rest unchanged; and the scores of
            the first k in this order, shape (min(n, k),).
        """
        whole = len(candidates) <= self.depth
        scores = self.scores(query, candidates if whole else candidates.take(np.arange(self.depth)))
        first = np.argsort(-scores, kind="stable")
        return np.concatenate([first, np.arange(len(first), len(candidates))]), scores[first]

    def check(self, query: CodeSet, database: CodeSet) -> None:
        """Checks that both sides have the required parts.

        Raises:
            AvnasError: A part is missing, or the codes belong to different networks.
        """
        for codes, parts in ((query, self.query_parts), (database, self.database_parts)):
            for name in parts:
                part(codes, name)
        if query.fingerprint != database.fingerprint:
            raise AvnasError(
                f"rerank: the query's code is of network {query.fingerprint}, the database's of {database.fingerprint}"
            )

    def bytes_per_video(self, database: CodeSet) -> int:
        """Bytes that the database stores per video, besides its code, for this rerank."""
        return sum(part(database, name).nbytes for name in self.database_parts) // max(1, len(database))


def part(codes: CodeSet, name: Part) -> NDArray[np.float16]:
    """The values or frames of a code set.

    Raises:
        AvnasError: They are missing.
    """
    array = codes.values if name == "values" else codes.frames
    if array is None:
        raise AvnasError(f"rerank: these codes were stored without {name}, which this rerank needs")
    return array
