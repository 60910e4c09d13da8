"""Stacked HDF5 arrays with label matrices beside them, as the self-supervised hashing papers publish features."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.data.formats.base import Contents, Format, Item
from avhash_nas.data.formats.labels import Rows, joined_labels, multi_hot
from avhash_nas.data.hdf5 import open_file
from avhash_nas.errors import AvnasError, DataError

ROLES = ("train", "val", "test", "query")
_KEY = "feats"
_FEATURES = r"(?:.*_)?{role}\d*{audio}_feats(?:_\d+)?\.(?:h5|hdf5)"
_LABELS = r"(?:.*_)?(?:{role}\d*_labels?(?:_\d+)?{other})\.(?:mat|pkl|pickle|npy|npz|h5|hdf5|txt)"
_OTHER_NAMES = {"test": "|re_label", "query": "|q_label"}
_BLOCK = 64  # videos read at once


class Stacked(Format):
    """An array `feats` (N, T, dim) for each split, and a multi-hot matrix of labels: S5VH, ConMH, BTH, AutoSSVH.

    Files are found by their usual names, behind any prefix: `train_feats.h5`, `test_feats.h5`, `query_feats.h5`, also
    in numbered parts; `train_labels.mat`, `test_labels.mat` or `re_label.mat`, `query_labels.mat` or `q_label.mat`.
    Labels may be in any file that ``read_labels`` reads. These names decide the database, as in the papers' settings:
    with a query file the test file is the database (ActivityNet, YFCC); with training labels the training file is
    (UCF101, HMDB51); with test labels alone the test file is both (FCVID). Ids come from `train_ids.txt` and so on, a
    line a video, or are made of split and row. Names of classes come from `classes.txt`, and `database.txt` can name
    the split that is the database.

    Args:
        features: Files of a role, by role (train, val, test, query), where they have other names: a pattern such as
            `part*.h5`.
        labels: Label files of a role, likewise.
        key: Name of the array in the feature files.
    """

    def __init__(
        self, features: dict[str, str] | None = None, labels: dict[str, str] | None = None, key: str = _KEY
    ) -> None:
        self.features = features or {}
        self.labels = labels or {}
        self.key = key
        for role in (*self.features, *self.labels):
            if role not in ROLES:
                raise AvnasError(f"{role!r} is not one of {', '.join(ROLES)}")

    @override
    def read(self, source: Path) -> Contents:
        parts = {role: part for role in ROLES if (part := self._part(source, role)).features}
        for role in ("train", "test"):
            if role not in parts:
                name = self.features.get(role, f"{role}_feats.h5")
                raise AvnasError(f"{source}: there is no {name}; name the files by --from.features.{role}=PATTERN")
        if "query" in parts:
            names, database = {"train": "train", "val": "val", "test": "database", "query": "test"}, "database"
        else:
            names, database = {"train": "train", "val": "val", "test": "test"}, "test"
            if parts["train"].labels:
                database = "train"
        database = "".join(_lines(source / "database.txt")) or database
        count = max(part.classes for part in parts.values())
        used = {label for part in parts.values() for row in part.labels for label in row}
        classes = tuple(_lines(source / "classes.txt") or map(str, range(count) if count else sorted(used)))
        by_label = dict(enumerate(classes)) if count else dict(zip(sorted(used), classes, strict=False))
        if missing := used - set(by_label):
            raise AvnasError(f"{source / 'classes.txt'}: names {len(classes)} classes, and label {max(missing)} occurs")
        order = [role for role in ("train", "val", "query", "test") if role in parts]
        return Contents(
            tuple(names[role] for role in order),
            database,
            classes,
            sum(part.count for part in parts.values()),
            (item for role in order for item in _items(parts[role], names[role], by_label, self.key)),
        )

    @override
    def write(self, contents: Contents, out: Path) -> None:
        roles = {contents.database: "test", "test": "query"}
        if contents.database in ("train", "test"):
            roles = {}
        if others := set(contents.splits) - {"train", "val", "test", contents.database}:
            raise AvnasError(f"split {sorted(others)[0]}: stacked files hold train, val, test and a database only")
        writers = {split: _Writer(out, roles.get(split, split)) for split in contents.splits}
        for item in contents.items:
            for split in item.splits:
                writers[split].add(item)
        for writer in writers.values():
            writer.close(contents.classes)
        (out / "database.txt").write_text(f"{contents.database if not roles else 'database'}\n", encoding="utf-8")
        (out / "classes.txt").write_text("".join(f"{name}\n" for name in contents.classes), encoding="utf-8")

    def _part(self, source: Path, role: str) -> "_Part":
        features = _found(source, self.features.get(role), _FEATURES.format(role=role, audio=""))
        audio = _found(source, None, _FEATURES.format(role=role, audio="_audio"))
        labels = _found(source, self.labels.get(role), _LABELS.format(role=role, other=_OTHER_NAMES.get(role, "")))
        part = _Part(role, features, audio, _lines(source / f"{role}_ids.txt"))
        if not features:
            return part
        part.count = sum(_shape(path, self.key)[0] for path in features)
        if audio and (heard := sum(_shape(path, self.key)[0] for path in audio)) != part.count:
            raise AvnasError(f"{audio[0]}: {heard} videos, where {features[0].name} has {part.count}")
        if labels:
            part.labels, part.classes = joined_labels(labels)
        for number, what in ((len(part.labels), labels), (len(part.ids), [source / f"{role}_ids.txt"])):
            if number not in (0, part.count):
                raise AvnasError(f"{what[0]}: {number} rows for {part.count} videos of {features[0].name}")
        return part


@dataclass
class _Part:
    """The files of a role and what they hold."""

    role: str
    features: list[Path]
    audio: list[Path]
    ids: list[str]
    labels: Rows = field(default_factory=list)
    classes: int = 0
    count: int = 0


def _found(source: Path, pattern: str | None, usual: str) -> list[Path]:
    """Files of a pattern, or with the usual names, in the order of their numbers."""
    if pattern is not None:
        paths = list(source.glob(pattern))
    else:
        paths = [path for path in source.iterdir() if re.fullmatch(usual, path.name)] if source.is_dir() else []
    return sorted(
        paths, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
    )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _array(file: h5py.File, key: str) -> h5py.Dataset:
    """The array of a file: the one under the key, or the only one of three dimensions."""
    arrays = {name: file[name] for name in file if getattr(file[name], "ndim", 0) == 3}
    if key in arrays:
        return arrays[key]
    if len(arrays) != 1:
        inside = ", ".join(file) or "nothing"
        raise DataError([f"{file.filename}: holds {inside}, and no array {key!r} (N, T, dim); name it by --from.key"])
    return next(iter(arrays.values()))


def _shape(path: Path, key: str) -> tuple[int, ...]:
    with open_file(path) as file:
        array = _array(file, key)
        shape: tuple[int, ...] = array.shape
        return shape[::-1] if "MATLAB_class" in array.attrs else shape


def _vectors(paths: Sequence[Path], key: str) -> Iterator[NDArray[Any]]:
    """The vectors of all videos of some files, (T, dim) each; MATLAB lists axes in reverse."""
    for path in paths:
        with open_file(path) as file:
            array = _array(file, key)
            reverse = "MATLAB_class" in array.attrs
            for start in range(0, array.shape[2 if reverse else 0], _BLOCK):
                stop = start + _BLOCK
                yield from array[:, :, start:stop].T if reverse else array[start:stop]


def _items(part: _Part, split: str, classes: dict[int, str], key: str) -> Iterator[Item]:
    streams = {"visual": _vectors(part.features, key)}
    if part.audio:
        streams["audio"] = _vectors(part.audio, key)
    for row, vectors in enumerate(zip(*streams.values(), strict=True)):
        name = part.ids[row] if part.ids else f"{split}-{row:06d}"
        labels = tuple(classes[label] for label in part.labels[row]) if part.labels else ()
        yield Item(name, (split,), labels, dict(zip(streams, vectors, strict=True)))


class _Writer:
    """Writes the arrays of one role, and what lies beside them."""

    def __init__(self, out: Path, role: str) -> None:
        self.out, self.role = out, role
        self.ids: list[str] = []
        self.labels: list[tuple[str, ...]] = []
        self._arrays: dict[str, h5py.Dataset] = {}
        self._opened = ExitStack()

    def add(self, item: Item) -> None:
        row = len(self.ids)
        for modality, vectors in item.features.items():
            if modality not in self._arrays:
                name = f"{self.role}{'_audio' if modality == 'audio' else ''}_feats.h5"
                file = self._opened.enter_context(h5py.File(self.out / name, "w"))
                self._arrays[modality] = file.create_dataset(
                    _KEY, (0, *vectors.shape), vectors.dtype, maxshape=(None, *vectors.shape)
                )
            array = self._arrays[modality]
            if row == len(array):
                array.resize(row + _BLOCK, axis=0)
            array[row] = vectors
        self.ids.append(item.id)
        self.labels.append(item.labels)

    def close(self, classes: Sequence[str]) -> None:
        from scipy.io import savemat

        for array in self._arrays.values():
            array.resize(len(self.ids), axis=0)
        self._opened.close()
        (self.out / f"{self.role}_ids.txt").write_text(_text(self.ids), encoding="utf-8")
        if any(self.labels):
            savemat(self.out / f"{self.role}_labels.mat", {"labels": multi_hot(iter(self.labels), classes)})


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
