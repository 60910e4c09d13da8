"""A store in one file, searched by FAISS."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.retrieval.archive import Joined, Rows, map_archive, write_archive
from avhash_nas.retrieval.columns import Columns, all_classes, code_set, columns_of, decoded, join_columns
from avhash_nas.retrieval.flat import exact_search
from avhash_nas.retrieval.index_kind import IndexKind, NumberedCodes, Numbers, Progress, faiss, threads_for
from avhash_nas.retrieval.lock import locked
from avhash_nas.retrieval.store import CodeStore, Found, StoreHeader

_FORMAT = 1
_NOWHERE = np.iinfo(np.int32).max


class FaissStore(CodeStore):
    """One file with codes, ids, labels, what is kept for reranking, and the index of an approximate kind.

    The file's arrays are mapped (`avhash_nas.retrieval.archive`): opening reads a few hundred bytes, a search only what
    it needs, and processes that search the same file share its memory. It is written whole or not at all, by one writer
    at a time; a store that is open goes on as it was when another process writes.

    Equal distances come in the order in which the videos were added. A query for which an approximate kind finds fewer
    codes than are wanted is answered exactly.

    Args:
        path: The file.
        header: What holds for all codes.
        parts: The file's arrays, by name.
        upcoming: Number of the code that is added next.
    """

    def __init__(self, path: Path, header: StoreHeader, parts: Columns, upcoming: int) -> None:
        self.where = str(path)
        self._path = path
        self._header = header
        self._parts = parts
        self._upcoming = upcoming

    @classmethod
    def open(cls, where: str | Path) -> Self:
        """Open a file.

        Raises:
            AvnasError: It is missing, damaged, or no index.
            MissingExtraError: FAISS is not installed.
        """
        faiss()
        path = Path(where)
        try:
            parts = map_archive(path)
            written = json.loads(parts["header"].tobytes())
            if written["format"] != _FORMAT:
                raise AvnasError(f"{path}: index of another format than {_FORMAT}, the one that this version reads")
            header = StoreHeader(
                bits=written["bits"],
                fingerprint=written["fingerprint"],
                kind=IndexKind.from_dict(written["kind"]),
                class_names=tuple(written["class_names"]),
                extraction=written["extraction"],
                values="values" in parts,
                frames=parts["frames"].shape[1:] if "frames" in parts else None,
            )
            if {len(parts[name]) for name in ("ids", "order", "numbers", "packed")} != {len(parts["ids"])}:
                raise ValueError("its parts differ in length")
            return cls(path, header, parts, written["upcoming"])
        except FileNotFoundError as error:
            raise AvnasError(f"{path}: no such index; `avnas index build` makes one") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AvnasError(f"{path}: is no index, or is damaged: {error}") from error

    @classmethod
    def create(
        cls,
        where: str | Path,
        codes: CodeSet,
        kind: IndexKind,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Write a new file; `avhash_nas.retrieval.create_store` tells the arguments.

        Raises:
            AvnasError: There is a file already, the kind does not fit, or the file cannot be written.
            MissingExtraError: FAISS is not installed.
        """
        faiss()
        path = Path(where)
        header = StoreHeader(codes.bits, codes.fingerprint, kind, codes.class_names, codes.extraction)
        with locked(path):
            if path.exists() and not replace:
                raise AvnasError(f"{path}: there is an index already; add to it, or replace it by --replace")
            numbers = np.arange(len(codes))
            index = kind.build(NumberedCodes(codes.packed, numbers), progress)
            columns = {name: Joined((part, None)) for name, part in columns_of(codes, codes.class_names).items()}
            _write(path, header, columns, numbers, len(numbers), index)
        return cls.open(path)

    @property
    def header(self) -> StoreHeader:
        """What holds for all codes."""
        return self._header

    def __len__(self) -> int:
        return len(self._parts["ids"])

    def __contains__(self, video: object) -> bool:
        return isinstance(video, str) and self._rows([video])[0] >= 0

    def first_ids(self, count: int = 100) -> list[str]:
        """The ids that were added first."""
        found: list[str] = decoded(self._parts["ids"][:count]).tolist()
        return found

    def search(self, packed: Packed, top: int) -> Found:
        """The nearest codes; `CodeStore.search` tells the arguments."""
        self.check_queries(packed, top)
        top = min(top, len(self))
        if not top or not len(packed):
            return Found(np.empty((len(packed), top), np.str_), np.empty((len(packed), top), np.int32))
        with threads_for(len(packed)):
            distances, numbers = self.header.kind.search(self._index, self._codes, packed, top)
            distances, rows = self._nearest(distances, numbers, top)
            short = (rows[:, -1] < 0).nonzero()[0]
            if len(short):
                exact = exact_search(self._codes, packed[short], top)
                distances[short], rows[short] = self._nearest(*exact, top)
        return Found(decoded(self._parts["ids"][rows]), distances)

    def fetch(self, ids: Sequence[str], values: bool = True, frames: bool = True) -> CodeSet:
        """What is kept of some videos; `CodeStore.fetch` tells the arguments."""
        rows = self._rows(ids)
        if (rows < 0).any():
            raise AvnasError(f"{self.where}: holds no video {ids[int((rows < 0).argmax())]!r}")
        return code_set(
            self._parts,
            rows,
            leave_out=[name for name, wanted in (("values", values), ("frames", frames)) if not wanted],
            bits=self.bits,
            fingerprint=self.fingerprint,
            class_names=self.class_names,
            extraction=self.extraction,
        )

    def add(self, codes: CodeSet, replace: bool = False, progress: Progress | None = None) -> None:
        """Add codes; `CodeStore.add` tells the arguments."""
        with locked(self._path):
            current = type(self).open(self._path)
            current.check_codes(codes.bits, codes.fingerprint, "new codes")
            current.check_kept(codes)
            rows = current._rows(codes.ids.tolist())
            if not replace and (rows >= 0).any():
                video = codes.ids[int((rows >= 0).argmax())]
                raise AvnasError(
                    f"{self.where}: video {video} is there already; --replace puts the new code in its place"
                )
            current._rewrite(rows[rows >= 0], codes, progress)
        self._reopen()

    def remove(self, ids: Sequence[str]) -> int:
        """Remove videos; `CodeStore.remove` tells the arguments."""
        with locked(self._path):
            current = type(self).open(self._path)
            rows = np.unique(current._rows(ids))
            rows = rows[rows >= 0]
            if len(rows):
                current._rewrite(rows, current.fetch([]))
        self._reopen()
        return len(rows)

    def size(self) -> int:
        """Bytes of the file."""
        return self._path.stat().st_size

    @cached_property
    def _codes(self) -> NumberedCodes:
        return NumberedCodes(self._parts["packed"], self._parts["numbers"])

    @cached_property
    def _index(self) -> Any:
        """The FAISS index, in memory; None for a kind without."""
        if "index" not in self._parts:
            return None
        try:
            return faiss().deserialize_index_binary(self._parts["index"])
        except RuntimeError as error:
            raise AvnasError(f"{self.where}: the index is damaged; build it anew: {error}") from error

    def _reopen(self) -> None:
        """Take up what the file holds now."""
        self.__dict__ = type(self).open(self._path).__dict__

    def _rows(self, ids: Sequence[str]) -> Rows:
        """Rows of videos, -1 for those that are not there: a search in the sorted ids, without reading all of them."""
        stored, order = self._parts["ids"], self._parts["order"]
        wanted = [video.encode("utf-8", "surrogateescape") for video in ids]
        if not len(stored) or not wanted:
            return np.full(len(wanted), -1)
        places = np.searchsorted(stored, np.array(wanted, stored.dtype), sorter=order)  # too long an id is cut
        rows = order[np.minimum(places, len(stored) - 1)]
        same = [found == video for found, video in zip(stored[rows].tolist(), wanted, strict=True)]
        return np.where(same, rows, -1)

    def _nearest(self, distances: NDArray[np.int32], numbers: Numbers, top: int) -> tuple[NDArray[np.int32], Rows]:
        """By distance and, at equal distance, by number: the first `top`, as rows; -1 where there are fewer."""
        known = self._parts["numbers"]
        rows = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        there = known[rows] == numbers
        distances, rows = np.where(there, distances, _NOWHERE), np.where(there, rows, -1)
        first = np.lexsort((rows, distances))[:, :top]
        distances, rows = (np.take_along_axis(array, first, 1) for array in (distances, rows))
        return np.where(rows < 0, np.int32(-1), distances), rows

    def _rewrite(self, removed: Rows, new: CodeSet, progress: Progress | None = None) -> None:
        """Write the file without some rows and with new codes at the end; this store is of no use afterwards."""
        kept = np.delete(np.arange(len(self)), removed) if len(removed) else None
        header = changed(self.header, class_names=all_classes(self.class_names, new.class_names))
        columns = join_columns(self._parts, kept, columns_of(new, header.class_names))
        kind, numbers, upcoming = header.kind, self._parts["numbers"], self._upcoming + len(new)
        left = numbers if kept is None else numbers[kept]
        index = self._index
        if kept is None or kind.remove(index, numbers[removed], len(left)):
            added = np.arange(self._upcoming, upcoming)
            kind.add(index, NumberedCodes(new.packed, added), progress)
            numbers = np.concatenate([left, added])
        else:
            numbers = np.arange(len(left) + len(new))
            upcoming = len(numbers)
            index = kind.build(NumberedCodes(columns["packed"].whole(), numbers), progress)
        _write(self._path, header, columns, numbers, upcoming, index)


def _write(
    path: Path, header: StoreHeader, columns: Mapping[str, Joined], numbers: Numbers, upcoming: int, index: Any
) -> None:
    """Write a file, whole or not at all."""
    written = {
        "format": _FORMAT,
        "bits": header.bits,
        "fingerprint": header.fingerprint,
        "kind": header.kind.to_dict(),
        "class_names": list(header.class_names),
        "extraction": header.extraction,
        "upcoming": upcoming,
    }
    ids = columns["ids"].whole()
    parts: dict[str, NDArray[Any] | Joined] = {
        "header": np.frombuffer(json.dumps(written).encode(), np.uint8),
        **columns,
        "order": np.argsort(ids, kind="stable"),
        "numbers": numbers,
    }
    if index is not None:
        parts["index"] = faiss().serialize_index_binary(index)
    write_whole(path, lambda partial: write_archive(partial, parts))
