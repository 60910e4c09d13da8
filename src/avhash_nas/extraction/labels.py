"""Labels and splits of video files: from the names of their folders, or from a CSV file."""

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from avhash_nas.errors import AvnasError, DataError
from avhash_nas.extraction.listing import VideoFile

SPLITS = ("train", "val", "test")
_SHOWN = 5


@dataclass(frozen=True)
class Annotation:
    """What is known of a video beside its file.

    Attributes:
        labels: Names of its classes, at least one.
        split: `train`, `val` or `test`; empty where none is given.
    """

    labels: tuple[str, ...]
    split: str = ""


def by_folders(videos: Sequence[VideoFile]) -> dict[str, Annotation]:
    """Labels from folders: a video's class is the topmost folder that it lies in.

    Where the topmost folders are `train`, `val` and `test`, they are the splits, and the class is the folder below.

    Args:
        videos: The videos.

    Returns:
        The annotation of each, by id.

    Raises:
        AvnasError: A video lies in no folder, a split is missing, or a folder's name holds a semicolon.
    """
    splits = split_folders(videos)
    found: dict[str, Annotation] = {}
    for video in videos:
        *folders, _ = PurePosixPath(video.name).parts
        split = folders.pop(0) if splits else ""
        if not folders:
            raise AvnasError(f"{video.path}: lies in no folder of a class; move it to one, or use another --labels")
        if ";" in folders[0]:
            raise AvnasError(f"{folders[0]}: the name of a class cannot hold a semicolon; rename the folder")
        found[video.id] = Annotation((folders[0],), split)
    return found


def split_folders(videos: Sequence[VideoFile]) -> bool:
    """Whether the topmost folders are splits.

    Args:
        videos: The videos.

    Raises:
        AvnasError: Only some of `train`, `val` and `test` are there, and no other folder.
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


def by_csv(path: str | Path, videos: Sequence[VideoFile]) -> dict[str, Annotation]:
    """Labels from a CSV file with a header.

    Columns: `file`, the path below the folder of videos, with or without its ending, or `id`; `labels` or `label`, the
    names of classes with `;` between them; and, if wanted, `split`: train, val or test. Other columns are not read.
    Lines of videos that are not there and lines without labels are passed over.

    Args:
        path: The file, UTF-8.
        videos: The videos.

    Returns:
        Annotations by id, of the videos that have one.

    Raises:
        DataError: The file has no such columns, lines that cannot be right (all of them), or names none of the videos.
    """
    rows, names, labels = _read(Path(path))
    known = _by_name(videos, names)
    problems: list[str] = []
    found: dict[str, Annotation] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        video = known.get(_plain(row[names]))
        classes = tuple(dict.fromkeys(each for part in row[labels].split(";") if (each := part.strip())))
        split = (row.get("split") or "").strip()
        if split not in ("", *SPLITS):
            problems.append(f"{path}:{line}: split {split!r} is not one of {', '.join(SPLITS)}")
        if video is None or not classes:
            continue
        if video.id in found:
            problems.append(f"{path}:{line}: {row[names]} is listed twice, first in line {lines[video.id]}")
        lines.setdefault(video.id, line)
        found[video.id] = Annotation(classes, split)
    if not found and not problems:
        example = rows[0][1][names] if rows else "nothing"
        problems.append(
            f"{path}: gives labels to none of the videos; its column {names!r} holds names like {example!r}, "
            f"those of the videos are like {_example(videos[0], names)!r}"
        )
    if problems:
        more = [f"{path}: {len(problems) - _SHOWN} more such lines"] if len(problems) > _SHOWN else []
        raise DataError([*problems[:_SHOWN], *more])
    if not any(each.split for each in found.values()) and split_folders(videos):
        return {
            video.id: Annotation(found[video.id].labels, PurePosixPath(video.name).parts[0])
            for video in videos
            if video.id in found
        }
    return found


def _read(path: Path) -> tuple[list[tuple[int, dict[str, str]]], str, str]:
    """Lines with their numbers, and the names of the columns of videos and of labels."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise AvnasError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AvnasError(f"{path}: is no CSV file in UTF-8: {error}") from error
    names = next((name for name in ("file", "id") if name in columns), None)
    labels = next((name for name in ("labels", "label") if name in columns), None)
    if names is None or labels is None:
        raise AvnasError(
            f"{path}: its first line must name the columns 'file' or 'id', and 'labels'; it names "
            f"{', '.join(map(repr, columns)) or 'nothing'}"
        )
    return rows, names, labels


def _by_name(videos: Sequence[VideoFile], column: str) -> Mapping[str, VideoFile]:
    """Videos by what a column may call them. A whole path goes before one without its ending."""
    if column == "id":
        return {_plain(video.id): video for video in videos}
    known: dict[str, VideoFile] = {}
    shortened: dict[str, list[VideoFile]] = {}
    for video in videos:
        known[_plain(video.name)] = video
        shortened.setdefault(_plain(str(PurePosixPath(video.name).with_suffix(""))), []).append(video)
    return {name: found[0] for name, found in shortened.items() if len(found) == 1} | known


def _plain(text: str) -> str:
    """Accented letters have two forms, and file systems and editors differ in them."""
    return unicodedata.normalize("NFC", text.strip()).removeprefix("./")


def _example(video: VideoFile, column: str) -> str:
    return video.id if column == "id" else video.name
