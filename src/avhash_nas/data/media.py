"""The list of video files beside features: `videos.csv`, which file each video came from and what was met in it."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole

NAME = "videos.csv"


@dataclass(frozen=True)
class Media:
    """One video file.

    Attributes:
        id: The video's id, the name of its group in the feature files.
        path: The file, relative to the folder of `videos.csv` where it lies below it, else absolute.
        labels: Names of its classes, separated by `;`; empty without labels.
        split: The split that lists it; empty without lists.
        seconds: Duration.
        notes: What was met while reading, separated by `;`: `no_audio`, `short`, `truncated`, ...; mostly empty.
    """

    id: str
    path: str
    labels: str = ""
    split: str = ""
    seconds: float = 0.0
    notes: str = ""


def write_media(folder: str | Path, videos: Iterable[Media]) -> None:
    """Write `videos.csv`, whole or not at all.

    Args:
        folder: The feature folder.
        videos: Its lines.
    """
    names = [field.name for field in fields(Media)]

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([getattr(video, name) for name in names] for video in videos)

    write_whole(Path(folder) / NAME, write)


def read_media(folder: str | Path) -> dict[str, Media]:
    """Video files by id, with absolute paths; empty where the folder has no `videos.csv`.

    Args:
        folder: The feature folder.

    Raises:
        AvnasError: The file is damaged.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return {}
    videos = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, strict=True):
                where = str((path.parent / row["path"]).resolve())
                listed = Media(row["id"], where, row["labels"], row["split"], float(row["seconds"]), row["notes"])
                videos[listed.id] = listed
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise AvnasError(f"{path}: is no list of videos: {error!r}; `avnas extract` writes one") from error
    return videos
