"""Names of the files that the cache keeps of a feature file, by everything that its vectors depend on."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avhash_nas.errors import AvnasError, DataError
from avhash_nas.files import read_json, write_json

_FORMAT = 2  # of the cached files: part of their names


@dataclass(frozen=True)
class CachedFiles:
    """The files of a feature file in the cache: the array, what is suspicious in it, and what else it depends on.

    The files that the vectors depend on besides the feature file are known from an earlier conversion. If one of them
    has changed since, the array of its new key is missing, so the conversion finds out anew what they depend on.
    """

    folder: Path
    stem: str
    key: tuple[Any, ...]
    sources: tuple[Path, ...] = ()

    @classmethod
    def of(cls, source: Path, ids: Sequence[str], frames: int | None, folder: Path) -> "CachedFiles":
        """The files of a feature file, of which `frames` is T if stated.

        Raises:
            DataError: The feature file cannot be found.
        """
        try:
            status = source.stat()
        except OSError as error:
            reason = "no such file; dataset.yaml can name another, under files" if error.errno == 2 else error.strerror
            raise DataError([f"{source}: {reason}"]) from None
        key = (_FORMAT, str(source.resolve()), status.st_size, status.st_mtime_ns, frames, list(ids))
        return cls(folder, source.stem, key).looked_up()

    def looked_up(self) -> "CachedFiles":
        """With the other files that an earlier conversion has found."""
        try:
            return replace(self, sources=tuple(map(Path, read_json(self._list)["sources"])))
        except (AvnasError, KeyError):
            return self

    def depending_on(self, sources: Iterable[Path]) -> "CachedFiles":
        """With other files, which are written down."""
        found = replace(self, sources=tuple(sources))
        if found.sources:
            write_json(self._list, {"sources": [str(path) for path in found.sources]})
        return found

    @property
    def array(self) -> Path:
        """The memory-mapped array."""
        status = [(str(path), *_size_and_time(path)) for path in self.sources]
        return self.folder / f"{self.stem}-{_digest([*self.key, *([status] if status else [])])}.npy"

    @property
    def suspicions(self) -> Path:
        """File of what is suspicious in the array."""
        return self.array.with_suffix(".json")

    @property
    def lock(self) -> Path:
        """Held while the array is written."""
        return self._list.with_suffix(".lock")

    @property
    def _list(self) -> Path:
        return self.folder / f"{self.stem}-{_digest(self.key)}.sources"


def _digest(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:24]


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
