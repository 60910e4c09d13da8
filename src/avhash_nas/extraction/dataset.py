"""What lies beside feature files: dataset.yaml, the lists of the splits, and the list of video files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from avhash_nas.data import Media, write_media
from avhash_nas.extraction.feature_files import FILES, Entry
from avhash_nas.extraction.labels import SPLITS, Annotation
from avhash_nas.extraction.listing import VideoFile
from avhash_nas.files import write_whole


def write_lists(
    folder: Path, entries: Sequence[Entry], annotations: Mapping[str, Annotation], steps: int
) -> dict[str, int]:
    """Write dataset.yaml and, of the videos that have a label and a split, the lists; without any, there are no lists.

    Args:
        folder: The feature folder.
        entries: The videos of the feature files.
        annotations: Labels and splits by id.
        steps: T.

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
    described: dict[str, Any] = {"files": dict(FILES), "frames": steps}
    if any(lines.values()):
        described |= {
            "lists": {split: f"{split}.txt" for split in SPLITS},
            "line": "id,label...",
            "label_base": 0,
            "classes": classes,
            "database": "train",
        }
    for split, content in lines.items():
        path = folder / f"{split}.txt"
        if "lists" in described:
            _write(path, "".join(f"{line}\n" for line in content))
        else:
            path.unlink(missing_ok=True)
    _write(folder / "dataset.yaml", yaml.safe_dump(described, sort_keys=False, allow_unicode=True))
    return {split: len(content) for split, content in lines.items()}


def write_videos(
    folder: Path, entries: Sequence[Entry], videos: Sequence[VideoFile], annotations: Mapping[str, Annotation]
) -> None:
    """Write videos.csv.

    Args:
        folder: The feature folder.
        entries: The videos of the feature files.
        videos: The video files, these among them.
        annotations: Labels and splits by id.
    """
    paths = {video.id: video.path for video in videos}
    unknown = Annotation(())
    rows = []
    for entry in entries:
        about = annotations.get(entry.id, unknown)
        rows.append(
            Media(
                entry.id,
                _relative(paths[entry.id], folder),
                ";".join(about.labels),
                about.split,
                round(entry.seconds, 3),
                ";".join(entry.notes),
            )
        )
    write_media(folder, rows)


def _relative(path: Path, folder: Path) -> str:
    """Relative to the folder where it lies below it, so that both can move together."""
    below = Path(os.path.abspath(folder))  # noqa: PTH100
    return str(path.relative_to(below)) if path.is_relative_to(below) else str(path)


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
