"""The pair of HDF5 files that hold the features of all videos, written whole from parts and from the pair before."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extraction import VideoFeatures
from avhash_nas.extraction.listing import VideoFile
from avhash_nas.files import write_whole


class Parts:
    """A folder with one npz file for each video that is done; each appears whole, so that any interruption keeps it.

    Args:
        folder: Made when the first part is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Where a video's part lies; 256 folders share them.

        Args:
            key: The video's (`VideoFile.key`).
        """
        return self.folder / key[:2] / f"{key}.npz"

    def keys(self) -> set[str]:
        """The videos that have a part."""
        return {path.stem for path in self.folder.glob("??/*.npz")}

    def write(self, key: str, features: VideoFeatures, dtype: str) -> None:
        """Keep the features of a video.

        Args:
            key: The video's.
            features: Its features.
            dtype: Type to store them in.

        Raises:
            AvnasError: They cannot be written.
        """
        about = json.dumps({"seconds": features.seconds, "notes": list(features.notes)})
        arrays = {name: getattr(features, name).astype(dtype) for name in ("visual", "audio")}

        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, about=np.array(about), **arrays)

        write_whole(self.path(key), write)

    def read(self, key: str) -> VideoFeatures | None:
        """The features of a video, in the type that they are stored in; None where the part is damaged, or gone.

        Args:
            key: The video's.
        """
        try:
            with np.load(self.path(key), allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                return VideoFeatures(file["visual"], file["audio"], about["seconds"], tuple(about["notes"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def drop(self, key: str) -> None:
        """Remove the part of a video.

        Args:
            key: The video's.
        """
        self.path(key).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)


FILES = {"visual": "image.h5", "audio": "audio.h5"}


@dataclass(frozen=True)
class Entry:
    """A video of the feature files.

    Attributes:
        id: The name of its group.
        key: What file it was made from (`VideoFile.key`).
        seconds: Duration.
        notes: What was met while reading.
    """

    id: str
    key: str
    seconds: float
    notes: tuple[str, ...]


def read_entries(folder: Path) -> dict[str, Entry]:
    """The videos that both files of a folder hold, by key; those of which only one was renewed are left out.

    Args:
        folder: The feature folder; it may have no such files.

    Raises:
        AvnasError: A file is damaged.
    """
    found: list[dict[str, Entry]] = []
    for name in FILES.values():
        path = folder / name
        if not path.exists():
            return {}
        try:
            with h5py.File(path, "r") as file:
                found.append({entry.key: entry for entry in map(_entry, file.values())})
        except (OSError, KeyError, RuntimeError, AttributeError) as error:
            raise AvnasError(f"{path}: not a whole file of features ({error}); start anew with --overwrite") from error
    visual, audio = found
    return {key: entry for key, entry in visual.items() if audio.get(key) == entry}


def write_features(folder: Path, videos: Sequence[VideoFile], parts: Parts) -> tuple[list[Entry], list[VideoFile]]:
    """Put parts, and what the files before hold, together to new files. Each replaces the one before when it is whole.

    Whatever the order in which parts were made, and wherever the work was interrupted, the files come out the same.

    Args:
        folder: The feature folder.
        videos: What the files shall hold, in this order; those with neither a part nor an entry are left out.
        parts: Where the new features lie. What a part holds goes before what the files hold.

    Returns:
        What the files hold now, and the videos whose parts were damaged: these are dropped.

    Raises:
        AvnasError: A file cannot be written; those before stay.
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
            known = before[video.key]
            entries.append(Entry(video.id, video.key, known.seconds, known.notes))
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
        with _plain_errors(), ExitStack() as stack:
            old = stack.enter_context(h5py.File(path, "r")) if before else None
            file = stack.enter_context(h5py.File(partial, "w"))
            for entry, array in vectors(old):
                group = file.create_group(entry.id)
                group["vectors"] = array
                group.attrs["key"] = entry.key
                group.attrs["seconds"] = entry.seconds
                group.attrs["notes"] = ";".join(entry.notes)
        with partial.open("rb") as whole:
            os.fsync(whole.fileno())  # the parts are removed soon

    write_whole(path, write)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Errors of HDF5 that tell of one of the system, in a paragraph, as that one."""
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
