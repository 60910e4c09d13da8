"""A store in one file, searched with FAISS."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.code_set import CodeSet, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.retrieval.archive import Joined, Rows, map_archive, write_archive
from avhash_nas.retrieval.columns import Columns, code_set, columns_of, decoded, join_columns, merge_classes
from avhash_nas.retrieval.flat import exact_search
from avhash_nas.retrieval.index_kind import IndexKind, NumberedCodes, Numbers, Progress, faiss, threads_for
from avhash_nas.retrieval.lock import locked
from avhash_nas.retrieval.store import CodeStore, Neighbors, StoreHeader

_NOWHERE = np.iinfo(np.int32).max


class FaissStore(CodeStore):
    """One file with codes, ids, labels, the parts used for reranking, and the graph or lists of an approximate index.

    The arrays are memory-mapped (`avhash_nas.retrieval.archive`): opening reads a few hundred bytes, and processes
    that search the same file share its memory. Writes are atomic and serialized by a lock; an open store keeps its
    content while another process writes.

    Equal distances are ordered by insertion; an approximate index decides which of several equally near codes fall
    below the cutoff. If it finds fewer codes than requested, the query is searched exactly.

    Args:
        path: The file.
        header: What holds for all codes.
        parts: The file's arrays by name.
        next_number: Number of the next code to be added.
    """

    def __init__(self, path: Path, header: StoreHeader, parts: Columns, next_number: int) -> None:
        super().__init__(str(path), header)
        self._path = path
        self._parts = parts
        self._next_number = next_number

    @classmethod
    def open(cls, where: str | Path) -> Self:
        """Opens a file.

        Raises:
            AvnasError: It is missing, damaged, or not an index.
            MissingExtraError: FAISS is not installed.
        """
        faiss()
        path = Path(where)
        try:
            parts = map_archive(path)
            data = json.loads(parts["header"].tobytes())
            frames = parts["frames"].shape[1:] if "frames" in parts else None
            header = StoreHeader.from_dict(data, "values" in parts, frames, str(path))
            if {len(parts[name]) for name in ("ids", "order", "numbers", "packed")} != {len(parts["ids"])}:
                raise ValueError("its parts differ in length")
            return cls(path, header, parts, data["upcoming"])
        except FileNotFoundError as error:
            raise AvnasError(f"{path}: no such index; `avnas index build` makes one") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AvnasError(f"{path}: not an index, or damaged: {error}") from error

    @classmethod
    def create(
        cls,
        where: str | Path,
        codes: CodeSet,
        kind: IndexKind,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Writes a new file; arguments and errors as for `create_store`."""
        faiss()
        path = Path(where)
        header = StoreHeader(codes.bits, codes.fingerprint, kind, codes.class_names, codes.extraction)
        with locked(path):
            if path.exists() and not replace:
                raise AvnasError(f"{path}: there is an index already; add to it, or replace it with --replace")
            numbers = np.arange(len(codes))
            index = kind.build(NumberedCodes(codes.packed, numbers), progress)
            columns = {name: Joined((part, None)) for name, part in columns_of(codes, codes.class_names).items()}
            _write(path, header, columns, numbers, len(numbers), index)
        return cls.open(path)

    def __len__(self) -> int:
        return len(self._parts["ids"])

    def __contains__(self, video: object) -> bool:
        return isinstance(video, str) and self._rows([video])[0] >= 0

    @override
    def first_ids(self, count: int = 100) -> list[str]:
        ids: list[str] = decoded(self._parts["ids"][:count]).tolist()
        return ids

    @override
    def search(self, packed: Packed, top: int) -> Neighbors:
        self.check_queries(packed, top)
        top = min(top, len(self))
        if not top or not len(packed):
            return Neighbors(np.empty((len(packed), top), np.str_), np.empty((len(packed), top), np.int32))
        with threads_for(len(packed)):
            distances, numbers = self.header.kind.search(self._index, self._codes, packed, top)
            distances, rows = self._nearest(distances, numbers, top)
            short = (rows[:, -1] < 0).nonzero()[0]
            if len(short):
                exact = exact_search(self._codes, packed[short], top)
                distances[short], rows[short] = self._nearest(*exact, top)
        return Neighbors(decoded(self._parts["ids"][rows]), distances)

    @override
    def fetch(self, ids: Sequence[str], values: bool = True, frames: bool = True) -> CodeSet:
        rows = self._rows(ids)
        if (rows < 0).any():
            raise AvnasError(f"{self.where}: holds no video {ids[int((rows < 0).argmax())]!r}")
        return code_set(
            self._parts,
            rows,
            leave_out=[name for name, included in (("values", values), ("frames", frames)) if not included],
            bits=self.bits,
            fingerprint=self.fingerprint,
            class_names=self.class_names,
            extraction=self.extraction,
        )

    @override
    def add(self, codes: CodeSet, replace: bool = False, progress: Progress | None = None) -> None:
        with locked(self._path):
            current = type(self).open(self._path)
            current.check_codes(codes.bits, codes.fingerprint, "new codes")
            current.check_kept(codes)
            rows = current._rows(codes.ids.tolist())
            if not replace and (rows >= 0).any():
                video = codes.ids[int((rows >= 0).argmax())]
                raise AvnasError(f"{self.where}: video {video} is there already; --replace overwrites it")
            current._rewrite(rows[rows >= 0], codes, progress)
        self._reopen()

    @override
    def remove(self, ids: Sequence[str]) -> int:
        with locked(self._path):
            current = type(self).open(self._path)
            rows = np.unique(current._rows(ids))
            rows = rows[rows >= 0]
            if len(rows):
                current._rewrite(rows, current.fetch([]))
        self._reopen()
        return len(rows)

    @override
    def size(self) -> int:
        return self._path.stat().st_size

    @cached_property
    def _codes(self) -> NumberedCodes:
        return NumberedCodes(self._parts["packed"], self._parts["numbers"])

    @cached_property
    def _index(self) -> Any:
        """The index; None if the codes alone are enough."""
        try:
            return self.header.kind.from_arrays(self._parts)
        except RuntimeError as error:
            raise AvnasError(f"{self.where}: the index is damaged; rebuild it: {error}") from error

    def _reopen(self) -> None:
        """Switches to the current content of the file."""
        self.__dict__ = type(self).open(self._path).__dict__

    def _rows(self, ids: Sequence[str]) -> Rows:
        """Rows of videos, -1 for unknown ids: a binary search in the sorted ids, which does not read all of them."""
        stored, order = self._parts["ids"], self._parts["order"]
        encoded = [video.encode("utf-8", "surrogateescape") for video in ids]
        if not len(stored) or not encoded:
            return np.full(len(encoded), -1)
        positions = np.searchsorted(stored, np.array(encoded, stored.dtype), sorter=order)  # truncates longer ids
        rows = order[np.minimum(positions, len(stored) - 1)]
        same = [candidate == video for candidate, video in zip(stored[rows].tolist(), encoded, strict=True)]
        return np.where(same, rows, -1)

    def _nearest(self, distances: NDArray[np.int32], numbers: Numbers, top: int) -> tuple[NDArray[np.int32], Rows]:
        """The first `top` rows by distance, then number; padded with -1."""
        stored = self._parts["numbers"]
        rows = np.minimum(np.searchsorted(stored, numbers), len(stored) - 1)
        exists = stored[rows] == numbers
        distances, rows = np.where(exists, distances, _NOWHERE), np.where(exists, rows, -1)
        first = np.lexsort((rows, distances))[:, :top]
        distances, rows = (np.take_along_axis(array, first, 1) for array in (distances, rows))
        return np.where(rows < 0, np.int32(-1), distances), rows

    def _rewrite(self, removed: Rows, new: CodeSet, progress: Progress | None = None) -> None:
        """Writes the file without some rows and with new codes appended; invalidates this object."""
        kept = np.delete(np.arange(len(self)), removed) if len(removed) else None
        header = changed(self.header, class_names=merge_classes(self.class_names, new.class_names))
        columns = join_columns(self._parts, kept, columns_of(new, header.class_names))
        kind, numbers, next_number = header.kind, self._parts["numbers"], self._next_number + len(new)
        left = numbers if kept is None else numbers[kept]
        index = self._index
        if kept is None or kind.remove(index, numbers[removed], len(left)):
            added = np.arange(self._next_number, next_number)
            index = kind.add(index, NumberedCodes(new.packed, added), progress)
            numbers = np.concatenate([left, added])
        else:
            numbers = np.arange(len(left) + len(new))
            next_number = len(numbers)
            index = kind.build(NumberedCodes(columns["packed"].whole(), numbers), progress)
        _write(self._path, header, columns, numbers, next_number, index)


def _write(
    path: Path, header: StoreHeader, columns: Mapping[str, Joined], numbers: Numbers, next_number: int, index: Any
) -> None:
    data = header.to_dict() | {"upcoming": next_number}
    ids = columns["ids"].whole()
    parts: dict[str, NDArray[Any] | Joined] = {
        "header": np.frombuffer(json.dumps(data).encode(), np.uint8),
        **columns,
        "order": np.argsort(ids, kind="stable"),
        "numbers": numbers,
        **header.kind.to_arrays(index),
    }
    write_whole(path, lambda partial: write_archive(partial, parts))
