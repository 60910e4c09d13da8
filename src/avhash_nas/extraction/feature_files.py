"""The two HDF5 files with the features of all videos, and the files of single videos that they are written from."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extraction import VideoFeatures
from avhash_nas.extraction.listing import VideoFile
from avhash_nas.files import write_whole


class Parts:
    """A folder with one npz file for each finished video, written atomically, so that any interruption keeps it.

    A video's key is ``VideoFile.key``.

    Args:
        folder: Created with the first part.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Path of a video's part, in one of 256 subfolders."""
        return self.folder / key[:2] / f"{key}.npz"

    def keys(self) -> set[str]:
        """Keys of the videos that have a part."""
        return {path.stem for path in self.folder.glob("??/*.npz")}

    def write(self, key: str, features: VideoFeatures, dtype: str) -> None:
        """Writes the part of a video, with features of the given type.

        Raises:
            AvnasError: It cannot be written.
        """
        about = json.dumps({"seconds": features.seconds, "notes": list(features.notes)})
        arrays = {name: getattr(features, name).astype(dtype) for name in ("visual", "audio")}

        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, about=np.array(about), **arrays)

        write_whole(self.path(key), write)

    def read(self, key: str) -> VideoFeatures | None:
        """The features of a video as stored; None if the part is damaged or missing."""
        try:
            with np.load(self.path(key), allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                return VideoFeatures(file["visual"], file["audio"], about["seconds"], tuple(about["notes"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def drop(self, key: str) -> None:
        """Removes the part of a video, if any."""
        self.path(key).unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes the folder."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)


FILES = {"visual": "image.h5", "audio": "audio.h5"}


@dataclass(frozen=True)
class Entry:
    """A video of the feature files.

    Attributes:
        id: Name of its group.
        key: Key of the video file (`VideoFile.key`).
        seconds: Duration.
        notes: Problems met while reading.
    """

    id: str
    key: str
    seconds: float
    notes: tuple[str, ...]


def read_entries(folder: Path) -> dict[str, Entry]:
    """The videos of both feature files of a folder, by key; without those that only one file has in this state.

    Raises:
        AvnasError: A file is damaged.
    """
    by_key: list[dict[str, Entry]] = []
    for name in FILES.values():
        path = folder / name
        if not path.exists():
            return {}
        try:
            with h5py.File(path, "r") as file:
                by_key.append({entry.key: entry for entry in map(_entry, file.values())})
        except (OSError, KeyError, RuntimeError, AttributeError) as error:
            raise AvnasError(f"{path}: not a whole file of features ({error}); start anew with --overwrite") from error
    visual, audio = by_key
    return {key: entry for key, entry in visual.items() if audio.get(key) == entry}


def write_features(folder: Path, videos: Sequence[VideoFile], parts: Parts) -> tuple[list[Entry], list[VideoFile]]:
    """Merges parts and existing feature files to new files, each of which replaces the old one atomically.

    The result does not depend on the order in which parts were written or on interruptions.

    Args:
        folder: The feature folder.
        videos: Videos of the new files, in this order; those with neither a part nor an entry are skipped.
        parts: New features, which take precedence over those in the files.

    Returns:
        The videos of the new files, and those with damaged parts, which are dropped.

    Raises:
        AvnasError: A file cannot be written; the old ones remain.
    """
    before = read_entries(folder)
    new = parts.keys()
    entries: list[Entry] = []
    damaged: list[VideoFile] = []
    for video in videos:
        if video.key in new:
            part = parts.read(video.key)
            if part is None:
                parts.drop(video.key)
                damaged.append(video)
            else:
                entries.append(Entry(video.id, video.key, part.seconds, part.notes))
        elif video.key in before:
            entries.append(replace(before[video.key], id=video.id))
    from_parts = new - {video.key for video in damaged}
    if entries and ({entry.key: entry for entry in entries} != before or from_parts.intersection(before)):
        for modality in FILES:
            _write(folder, modality, entries, from_parts, parts, before)
    return entries, damaged


def _write(
    folder: Path, modality: str, entries: Sequence[Entry], new: set[str], parts: Parts, before: Mapping[str, Entry]
) -> None:
    path = folder / FILES[modality]

    def vectors(old: h5py.File | None) -> Iterator[tuple[Entry, Any]]:
        for entry in entries:
            if entry.key in new:
                yield entry, getattr(parts.read(entry.key), modality)
            elif old is not None:
                yield entry, old[before[entry.key].id]["vectors"][...]

    def write(partial: Path) -> None:
        with _system_errors(), ExitStack() as stack:
            old = stack.enter_context(h5py.File(path, "r")) if before else None
            file = stack.enter_context(h5py.File(partial, "w"))
            for entry, array in vectors(old):
                group = file.create_group(entry.id)
                group["vectors"] = array
                group.attrs["key"] = entry.key
                group.attrs["seconds"] = entry.seconds
                group.attrs["notes"] = ";".join(entry.notes)
        with partial.open("rb") as written:
            os.fsync(written.fileno())  # before the parts are removed

    write_whole(path, write)


@contextmanager
def _system_errors() -> Iterator[None]:
    """Converts HDF5's long messages about system errors to these errors."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def _entry(group: h5py.Group) -> Entry:
    notes = str(group.attrs["notes"])
    return Entry(
        group.name.removeprefix("/"),
        str(group.attrs["key"]),
        float(group.attrs["seconds"]),
        tuple(notes.split(";")) if notes else (),
    )
