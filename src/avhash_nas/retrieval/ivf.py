"""Approximate search by an inverted file: the codes are sorted into lists, of which a query looks into a few."""

import math
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

_TRAINED_ON = 64  # codes of each list: FAISS warns below 39 and takes at most 256


class IVF(IndexKind):
    """Approximate search: codes are sorted into lists by their nearest center; a query looks into the nearest lists.

    The centers are those of the codes the index was built with. A store that has grown to many times its size, or whose
    codes have changed, is better built anew.

    Args:
        nlist: Number of lists; by default the square root of the number of codes.
        nprobe: How many lists a query looks into; by default a sixteenth of them. More find more and take longer.

    Raises:
        AvnasError: An argument is out of range.
    """

    def __init__(self, nlist: int | None = None, nprobe: int | None = None) -> None:
        for name, value in (("nlist", nlist), ("nprobe", nprobe)):
            if value is not None and value < 1:
                raise AvnasError(f"ivf: {name} must be at least 1, got {value}")
        self.nlist = nlist
        self.nprobe = nprobe

    def arguments(self) -> dict[str, Any]:
        """`nlist`, `nprobe`."""
        return {"nlist": self.nlist, "nprobe": self.nprobe}

    def build(self, codes: NumberedCodes, progress: Progress | None = None) -> Any:
        """Cluster a sample of the codes, then sort all into the lists."""
        lists = self._lists(len(codes))
        width = 8 * codes.packed.shape[1]
        index = faiss().IndexBinaryIVF(faiss().IndexBinaryFlat(width), width, lists)
        index.cp.min_points_per_centroid = 1  # small stores are the user's affair: no warning
        step = max(1, len(codes) // (_TRAINED_ON * lists))
        index.train(np.ascontiguousarray(codes.packed[::step]))
        self.add(index, codes, progress)
        return index

    def add(self, index: Any, codes: NumberedCodes, progress: Progress | None = None) -> None:
        """Sort codes into the lists there are."""
        for start in range(0, len(codes), BLOCK):
            part = slice(start, start + BLOCK)
            index.add_with_ids(np.ascontiguousarray(codes.packed[part]), codes.numbers[part])
            if progress:
                progress(min(start + BLOCK, len(codes)), len(codes))

    def remove(self, index: Any, numbers: Numbers, left: int) -> bool:  # noqa: ARG002
        """Take codes out of the lists."""
        index.remove_ids(numbers)
        return True

    def search(self, index: Any, codes: NumberedCodes, queries: Packed, top: int) -> tuple[Distances, Numbers]:  # noqa: ARG002
        """Compare the codes of the nearest lists."""
        probed = min(index.nlist, self.nprobe or max(1, index.nlist // 16))
        found: tuple[Distances, Numbers] = index.search(
            np.ascontiguousarray(queries), top, params=faiss().IVFSearchParameters(nprobe=probed)
        )
        return found

    def milvus_index(self, codes: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """`BIN_IVF_FLAT`."""
        lists = self._lists(codes)
        return "BIN_IVF_FLAT", {"nlist": lists}, {"nprobe": min(lists, self.nprobe or max(1, lists // 16))}

    def _lists(self, codes: int) -> int:
        if self.nlist is not None and self.nlist > codes:
            raise AvnasError(f"ivf: nlist {self.nlist} is more than there are codes, {codes}")
        return self.nlist or max(1, math.isqrt(codes))
