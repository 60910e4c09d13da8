"""Labels and splits of video files, from folder names or from a CSV file."""

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from avhash_nas.errors import AvnasError, DataError
from avhash_nas.extraction.listing import VideoFile

SPLITS = ("train", "val", "test")
_MAX_PROBLEMS = 5


@dataclass(frozen=True)
class Annotation:
    """Labels and split of a video.

    Attributes:
        labels: Names of its classes, at least one.
        split: `train`, `val` or `test`; empty if not given.
    """

    labels: tuple[str, ...]
    split: str = ""


def annotate_by_folders(videos: Sequence[VideoFile]) -> dict[str, Annotation]:
    """Annotations by video id; the class of a video is its topmost folder.

    If the topmost folders are `train`, `val` and `test`, they are the splits, and the class is the folder below.

    Raises:
        AvnasError: A video is not in a folder, a split is missing, or a folder's name contains a semicolon.
    """
    has_splits = are_splits(videos)
    annotations: dict[str, Annotation] = {}
    for video in videos:
        *folders, _ = PurePosixPath(video.name).parts
        split = folders.pop(0) if has_splits else ""
        if not folders:
            raise AvnasError(f"{video.path}: lies in no folder of a class; move it to one, or use another --labels")
        if ";" in folders[0]:
            raise AvnasError(f"{folders[0]}: the name of a class cannot hold a semicolon; rename the folder")
        annotations[video.id] = Annotation((folders[0],), split)
    return annotations


def are_splits(videos: Sequence[VideoFile]) -> bool:
    """Whether the topmost folders are splits.

    Raises:
        AvnasError: Only some of `train`, `val` and `test` exist, and no other folder.
    """
    top = {PurePosixPath(video.name).parts[0] if "/" in video.name else "" for video in videos}
    if not top or not top.issubset(SPLITS):
        return False
    if missing := [split for split in SPLITS if split not in top]:
        raise AvnasError(
            f"the folders {', '.join(sorted(top))} name splits, and there is no {' and no '.join(missing)}: "
            "move some videos there, or name the splits in a CSV file"
        )
    return True


def annotate_by_csv(path: str | Path, videos: Sequence[VideoFile]) -> dict[str, Annotation]:
    """Annotations by video id, from a CSV file with a header.

    Columns: `file`, the path below the folder of videos, with or without its suffix, or `id`; `labels` or `label`, the
    names of classes separated by `;`; and optionally `split`: train, val or test. Other columns are ignored, and so are
    lines of unknown videos and lines without labels. The encoding is UTF-8.

    Raises:
        DataError: The file lacks these columns, has invalid lines (all are reported), or names none of the videos.
    """
    rows, names, labels = _read(Path(path))
    by_name = _by_name(videos, names)
    problems: list[str] = []
    annotations: dict[str, Annotation] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        video = by_name.get(_normalize(row[names]))
        classes = tuple(dict.fromkeys(name for part in row[labels].split(";") if (name := part.strip())))
        split = (row.get("split") or "").strip()
        if split not in ("", *SPLITS):
            problems.append(f"{path}:{line}: split {split!r} is not one of {', '.join(SPLITS)}")
        if video is None or not classes:
            continue
        if video.id in annotations:
            problems.append(f"{path}:{line}: {row[names]} is listed twice, first in line {lines[video.id]}")
        lines.setdefault(video.id, line)
        annotations[video.id] = Annotation(classes, split)
    if not annotations and not problems:
        example = rows[0][1][names] if rows else "nothing"
        problems.append(
            f"{path}: gives labels to none of the videos; its column {names!r} holds names like {example!r}, "
            f"those of the videos are like {(videos[0].id if names == 'id' else videos[0].name)!r}"
        )
    if problems:
        hidden = len(problems) - _MAX_PROBLEMS
        raise DataError(problems[:_MAX_PROBLEMS] + ([f"{path}: {hidden} more such lines"] if hidden > 0 else []))
    if not any(each.split for each in annotations.values()) and are_splits(videos):
        return {
            video.id: Annotation(annotations[video.id].labels, PurePosixPath(video.name).parts[0])
            for video in videos
            if video.id in annotations
        }
    return annotations


def _read(path: Path) -> tuple[list[tuple[int, dict[str, str]]], str, str]:
    """Rows with their line numbers, and the names of the columns of videos and labels."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise AvnasError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AvnasError(f"{path}: not a CSV file in UTF-8: {error}") from error
    names = next((name for name in ("file", "id") if name in columns), None)
    labels = next((name for name in ("labels", "label") if name in columns), None)
    if names is None or labels is None:
        raise AvnasError(
            f"{path}: its first line must name the columns 'file' or 'id', and 'labels'; it names "
            f"{', '.join(map(repr, columns)) or 'nothing'}"
        )
    return rows, names, labels


def _by_name(videos: Sequence[VideoFile], column: str) -> Mapping[str, VideoFile]:
    """Videos by the names that the column may use. A full path takes precedence over one without suffix."""
    if column == "id":
        return {_normalize(video.id): video for video in videos}
    full: dict[str, VideoFile] = {}
    stems: dict[str, list[VideoFile]] = {}
    for video in videos:
        full[_normalize(video.name)] = video
        stems.setdefault(_normalize(str(PurePosixPath(video.name).with_suffix(""))), []).append(video)
    return {name: same[0] for name, same in stems.items() if len(same) == 1} | full


def _normalize(text: str) -> str:
    """Accented letters have two forms in Unicode, and file systems and editors differ in them."""
    return unicodedata.normalize("NFC", text.strip()).removeprefix("./")
