"""The output folder of an extraction: its lock, its checks, and the files next to the features."""

import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from avhash_nas.data import EXTRACTION_FILE, Media, write_media
from avhash_nas.data.media import MEDIA_FILE
from avhash_nas.errors import AvnasError
from avhash_nas.extraction.annotations import SPLITS, Annotation
from avhash_nas.extraction.feature_files import FILES, Entry, Parts
from avhash_nas.extraction.listing import VideoFile, absolute
from avhash_nas.extraction.media_file import Tracks
from avhash_nas.files import read_json, write_json, write_whole
from avhash_nas.legacy import renamed

_OWN = (*FILES.values(), "dataset.yaml", *(f"{split}.txt" for split in SPLITS), MEDIA_FILE, EXTRACTION_FILE)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Creates the folder and locks it against other extractions; the lock ends with the process.

    Systems without POSIX locks, and some network file systems, have no lock.

    Raises:
        AvnasError: Another extraction runs in the folder, or it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AvnasError(f"{folder}: cannot be created: {error.strerror}") from error
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AvnasError(f"{folder}: another extraction runs in it") from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
            raise
    try:
        yield
    finally:
        os.close(descriptor)


def prepare_folder(folder: Path, record: Mapping[str, Any], *, overwrite: bool) -> Parts:
    """Writes `extraction.json`; existing files of other programs are not touched.

    Args:
        folder: The output folder.
        record: `Extraction.to_dict()`.
        overwrite: First remove everything that an earlier extraction has written.

    Returns:
        The features of videos that are not yet in the feature files.

    Raises:
        AvnasError: The folder holds features of another extraction and `overwrite` is off, or other files.
    """
    path = folder / EXTRACTION_FILE
    parts = Parts(folder / "parts")
    if not path.exists():
        if files := sorted(entry.name for entry in folder.iterdir()):
            raise AvnasError(f"{folder}: holds {files[0]}, which is not from an extraction; name another folder")
    elif not overwrite:
        earlier = {"tracks": asdict(Tracks())} | renamed(read_json(path))  # earlier versions had no choice
        if different := [name for name in record if earlier.get(name) != record[name]]:
            before, now = (json.dumps(each.get(different[0])) for each in (earlier, record))
            raise AvnasError(
                f"{folder}: holds features of another extraction: {different[0]} was {before} and is {now} now; "
                "name another folder, or start anew with --overwrite"
            )
    if overwrite:
        parts.clear()
        for name in _OWN:
            (folder / name).unlink(missing_ok=True)
    if not path.exists():
        write_json(path, dict(record))
    return parts


def write_lists(
    folder: Path, entries: Sequence[Entry], annotations: Mapping[str, Annotation], steps: int
) -> dict[str, int]:
    """Writes dataset.yaml and the lists of all videos with a label and a split; without such videos, no lists.

    Returns:
        Number of videos in each list.
    """
    listed = {entry.id: annotations[entry.id] for entry in entries if entry.id in annotations}
    classes = sorted({name for each in listed.values() for name in each.labels})
    numbers = {name: number for number, name in enumerate(classes)}
    lines: dict[str, list[str]] = {split: [] for split in SPLITS}
    for video, each in listed.items():
        if each.split:
            lines[each.split].append(",".join([video, *(str(numbers[name]) for name in each.labels)]))
    layout: dict[str, Any] = {"files": dict(FILES), "frames": steps}
    if any(lines.values()):
        layout |= {
            "lists": {split: f"{split}.txt" for split in SPLITS},
            "line": "id,label...",
            "label_base": 0,
            "classes": classes,
            "database": "train",
        }
    for split, content in lines.items():
        path = folder / f"{split}.txt"
        if "lists" in layout:
            _write(path, "".join(f"{line}\n" for line in content))
        else:
            path.unlink(missing_ok=True)
    _write(folder / "dataset.yaml", yaml.safe_dump(layout, sort_keys=False, allow_unicode=True))
    return {split: len(content) for split, content in lines.items()}


def write_videos(
    folder: Path, entries: Sequence[Entry], videos: Sequence[VideoFile], annotations: Mapping[str, Annotation]
) -> None:
    """Writes videos.csv for the videos of the feature files."""
    paths = {video.id: video.path for video in videos}
    base = absolute(folder)
    media = []
    for entry in entries:
        path, annotation = paths[entry.id], annotations.get(entry.id, Annotation(()))
        # Relative below the folder, so that both can move together.
        shown = path.relative_to(base) if path.is_relative_to(base) else path
        labels, notes = ";".join(annotation.labels), ";".join(entry.notes)
        media.append(Media(entry.id, str(shown), labels, annotation.split, round(entry.seconds, 3), notes))
    write_media(folder, media)


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
