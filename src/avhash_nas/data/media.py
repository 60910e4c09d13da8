"""`videos.csv`: the video file behind each feature vector, its labels, and the problems met while reading it."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole

MEDIA_FILE = "videos.csv"


@dataclass(frozen=True)
class Media:
    """One video file.

    Attributes:
        id: The video's id, the name of its group in the feature files.
        path: The file, relative to the folder of `videos.csv` if it lies below it, else absolute.
        labels: Names of its classes, separated by `;`; empty without labels.
        split: The split that lists it; empty without lists.
        seconds: Duration.
        notes: Problems met while reading, separated by `;`: `no_audio`, `short`, `truncated`, ...; mostly empty.
    """

    id: str
    path: str
    labels: str = ""
    split: str = ""
    seconds: float = 0.0
    notes: str = ""


def write_media(folder: str | Path, videos: Iterable[Media]) -> None:
    """Writes `videos.csv` atomically.

    Args:
        folder: The feature folder.
        videos: The rows of the file.
    """
    names = [field.name for field in fields(Media)]

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([getattr(video, name) for name in names] for video in videos)

    write_whole(Path(folder) / MEDIA_FILE, write)


def read_media(folder: str | Path) -> dict[str, Media]:
    """Video files by id, with absolute paths; empty if the folder has no `videos.csv`.

    Args:
        folder: The feature folder.

    Raises:
        AvnasError: The file is damaged.
    """
    path = Path(folder) / MEDIA_FILE
    if not path.exists():
        return {}
    videos = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, strict=True):
                absolute = str((path.parent / row["path"]).resolve())
                seconds = float(row["seconds"])
                videos[row["id"]] = Media(row["id"], absolute, row["labels"], row["split"], seconds, row["notes"])
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise AvnasError(f"{path}: not a list of videos: {error!r}; `avnas extract` writes one") from error
    return videos
