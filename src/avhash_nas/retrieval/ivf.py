"""Approximate search by an inverted file: codes are grouped into lists, and a query scans only the nearest."""

import math
from typing import Any

import numpy as np
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.index_kind import Answers, IndexKind, NumberedCodes, Numbers, Packed, Progress, blocks, faiss

_TRAINED_ON = 64  # training codes per list: FAISS warns below 39 and takes at most 256


class IVF(IndexKind):
    """Approximate search: codes are grouped by their nearest cluster center; a query scans the nearest lists.

    The centers are computed once, when the index is built: rebuild a store that has grown many times over.

    Args:
        nlist: Number of lists; by default the square root of the number of codes.
        nprobe: Number of lists scanned per query; by default a sixteenth of them. Larger: better recall, slower.

    Raises:
        AvnasError: An argument is out of range.
    """

    def __init__(self, nlist: int | None = None, nprobe: int | None = None) -> None:
        for name, value in (("nlist", nlist), ("nprobe", nprobe)):
            if value is not None and value < 1:
                raise AvnasError(f"ivf: {name} must be at least 1, got {value}")
        self.nlist = nlist
        self.nprobe = nprobe

    @override
    def arguments(self) -> dict[str, Any]:
        return {"nlist": self.nlist, "nprobe": self.nprobe}

    @override
    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        lists = self._lists(len(codes))
        width = 8 * codes.packed.shape[1]
        index = faiss().IndexBinaryIVF(faiss().IndexBinaryFlat(width), width, lists)
        index.cp.min_points_per_centroid = 1  # no warning for small stores
        step = max(1, len(codes) // (_TRAINED_ON * lists))
        index.train(np.ascontiguousarray(codes.packed[::step]))
        return self.add(index, codes, progress)

    @override
    def add(self, index: Any, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        for block in blocks(codes, progress):
            index.add_with_ids(block.packed, block.numbers)
        return index

    @override
    def remove(self, index: Any, numbers: Numbers, left: int) -> bool:
        index.remove_ids(numbers)
        return True

    @override
    def search(self, index: Any, codes: NumberedCodes, queries: Packed, top: int) -> Answers:
        parameters = faiss().IVFSearchParameters(nprobe=self._probes(index.nlist))
        answers: Answers = index.search(np.ascontiguousarray(queries), top, params=parameters)
        return answers

    @override
    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        lists = self._lists(codes)
        return "BIN_IVF_FLAT", {"nlist": lists}, {"nprobe": self._probes(lists)}

    @override
    def postgres_index(self, codes: int) -> tuple[str, dict[str, int], dict[str, int]]:
        lists = self._lists(codes)
        return "ivfflat", {"lists": lists}, {"ivfflat.probes": self._probes(lists)}

    def _lists(self, codes: int) -> int:
        if self.nlist is not None and self.nlist > codes:
            raise AvnasError(f"ivf: nlist {self.nlist} is more than there are codes, {codes}")
        return self.nlist or max(1, math.isqrt(codes))

    def _probes(self, lists: int) -> int:
        return min(lists, self.nprobe or max(1, lists // 16))
