"""Folders with a file of features for each video, as video_features and CLIP4Clip's users keep them."""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.data.formats.base import Contents, Format, Item
from avhash_nas.data.formats.pickles import read_pickle
from avhash_nas.errors import AvnasError

SPLITS = ("train", "val", "test")
TABLE = "videos.csv"
_SUFFIXES = (".npy", ".npz", ".pkl", ".pickle")


class _Row(NamedTuple):
    splits: tuple[str, ...]
    labels: tuple[str, ...]


class Arrays(Format):
    """One `.npy`, `.npz` or `.pkl` file for each video, (T, dim).

    Splits and labels come from a CSV file with the columns `id`, `split` and `labels`, in which `;` separates several,
    or from folders: `train/cat/x.npy` is in split train and class cat. A pickle is read only if it holds nothing but
    plain values and arrays.

    Args:
        visual: Names of the files of frames below the folder, such as `{id}_clip.npy`, or `visual/{id}.npy`.
        audio: The same of audio segments, such as `{id}_vggish.npy`; None reads the files of frames alone, and writes
            `{id}_audio.npy`.
        key: Name of the array in files that hold several; by default the modality's.
        table: The CSV file, below the folder; by default `videos.csv` if there is one.
        frames: T: each video is cut into as many equal parts, of which the middle row is taken. None takes the rows as
            they are, which must be as many in all videos.
        database: The split that queries search.
    """

    def __init__(
        self,
        visual: str = "{id}.npy",
        audio: str | None = None,
        key: str | None = None,
        table: str | None = None,
        frames: int | None = None,
        database: str = "train",
    ) -> None:
        self.patterns = {"visual": visual, **({"audio": audio} if audio else {})}
        self.key, self.table, self.frames, self.database = key, table, frames, database
        for pattern in self.patterns.values():
            if pattern.count("{id}") != 1 or Path(pattern).suffix not in _SUFFIXES:
                raise AvnasError(f"{pattern!r} must hold {{id}} once and end with {', '.join(_SUFFIXES)}")
        if frames is not None and frames < 1:
            raise AvnasError(f"frames={frames} must be at least 1")

    @override
    def read(self, source: Path) -> Contents:
        found = {modality: _found(source, pattern) for modality, pattern in self.patterns.items()}
        for modality, files in found.items():
            if not files:
                raise AvnasError(f"{source}: no file is named {self.patterns[modality]}; see --from.{modality}")
        rows = self._rows(source, found["visual"])
        for modality, files in found.items():
            if missing := [name for name in rows if name not in files]:
                named = self.patterns[modality].format(id=missing[0])
                raise AvnasError(f"{source / named}: no such file, nor those of {len(missing) - 1} other videos")
        splits = tuple(dict.fromkeys(split for row in rows.values() for split in row.splits))
        order = sorted(splits, key=lambda split: (SPLITS.index(split) if split in SPLITS else 3, split))
        classes = tuple(sorted({label for row in rows.values() for label in row.labels}, key=_natural))
        stored = source / "classes.txt"
        if stored.exists():
            classes = tuple(stored.read_text(encoding="utf-8").splitlines())
        database = source / "database.txt"
        name = database.read_text(encoding="utf-8").strip() if database.exists() else self.database
        if name not in splits:
            raise AvnasError(f"{source}: database={name!r} is not a split; there are {', '.join(order)}")
        return Contents(tuple(order), name, classes, len(rows), self._items(rows, found))

    @override
    def write(self, contents: Contents, out: Path) -> None:
        with (out / TABLE).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("id", "split", "labels"))
            for item in contents.items:
                if item.id.startswith("/") or ".." in PurePosixPath(item.id).parts:
                    raise AvnasError(f"video {item.id!r}: its file would lie outside of the folder")
                for modality, vectors in item.features.items():
                    pattern = self.patterns.get(modality, "{id}_audio.npy")
                    path = out / pattern.format(id=item.id)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _save(path, vectors)
                table.writerow((item.id, ";".join(item.splits), ";".join(item.labels)))
        (out / "classes.txt").write_text("".join(f"{name}\n" for name in contents.classes), encoding="utf-8")
        (out / "database.txt").write_text(f"{contents.database}\n", encoding="utf-8")

    def _rows(self, source: Path, files: Mapping[str, Path]) -> dict[str, _Row]:
        """Splits and labels by id."""
        table = source / (self.table or TABLE)
        if self.table is not None or table.exists():
            return _read_table(table)
        rows = {}
        for name in files:
            folders = PurePosixPath(name).parts[:-1]
            if not folders or folders[0] not in SPLITS:
                raise AvnasError(
                    f"{files[name]}: neither {table} nor a folder train, val or test says in which split it is"
                )
            rows[name] = _Row((folders[0],), folders[1:2])
        return rows

    def _items(self, rows: Mapping[str, _Row], found: Mapping[str, Mapping[str, Path]]) -> Iterator[Item]:
        for name, row in rows.items():
            features = {modality: self._vectors(files[name], modality) for modality, files in found.items()}
            yield Item(name, row.splits, row.labels, features)

    def _vectors(self, path: Path, modality: str) -> NDArray[Any]:
        array = read_array(path, self.key or modality)
        if array.ndim == 1:
            array = array[None]
        if array.ndim != 2 or 0 in array.shape or array.dtype.kind != "f":
            raise AvnasError(f"{path}: holds {array.dtype} of shape {array.shape}, expected (T, dim) of floats")
        if self.frames is None:
            return array
        middle = (np.arange(self.frames) + 0.5) * len(array) / self.frames
        return array[middle.astype(np.int64)]


def read_array(path: Path, key: str) -> NDArray[Any]:
    """The array of a `.npy`, `.npz` or pickle file; of several the one under `key`."""
    try:
        if path.suffix == ".npy":
            array: NDArray[Any] = np.load(path, allow_pickle=False)
            return array
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                content: Any = {name: file[name] for name in file.files}
        else:
            content = read_pickle(path)
    except (OSError, ValueError, EOFError) as error:
        raise AvnasError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        return np.asarray(content)
    if key in content:
        return np.asarray(content[key])
    if len(content) != 1:
        raise AvnasError(f"{path}: holds {', '.join(map(str, content))}, and no {key!r}; name one by --from.key")
    return np.asarray(next(iter(content.values())))


def _save(path: Path, vectors: NDArray[Any]) -> None:
    if path.suffix == ".npz":
        np.savez(path, features=vectors)
    elif path.suffix == ".npy":
        np.save(path, vectors)
    else:
        raise AvnasError(f"{path.name}: arrays are written as .npy or .npz only")


def _found(source: Path, pattern: str) -> dict[str, Path]:
    """Files by id, which may lie in folders."""
    before, after = map(re.escape, pattern.split("{id}"))
    suffix = Path(pattern).suffix
    files = {}
    for path in sorted(source.rglob(f"*{suffix}")):
        if match := re.fullmatch(f"{before}(.+){after}", path.relative_to(source).as_posix()):
            files[match[1]] = path
    return files


def _natural(name: str) -> tuple[int, str]:
    return (int(name), name) if name.isdecimal() else (-1, name)


def _read_table(path: Path) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.DictReader(file, restval=""), 2):
                name, splits, labels = (_parts(row[column]) for column in ("id", "split", "labels"))
                if len(name) != 1 or not splits:
                    raise AvnasError(f"{path}:{number}: lacks an id or a split")
                rows[name[0]] = _Row(splits, labels)
    except OSError as error:
        raise AvnasError(f"{path}: cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise AvnasError(f"{path}: has no column {error}; it needs id, split and labels") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AvnasError(f"{path}: not a CSV file in UTF-8: {error}") from error
    return rows


def _parts(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(";") if part.strip())
