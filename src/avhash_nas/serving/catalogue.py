"""The videos that a user can select and play: those of `videos.csv`, and no other file."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avhash_nas.data import Media

_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".ogv": "video/ogg",
    ".avi": "video/x-msvideo",
    ".ts": "video/mp2t",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
}


@dataclass(frozen=True)
class Page:
    """A page of the catalogue, sorted by id.

    Attributes:
        total: Number of videos with the prefix.
        videos: Videos of the page.
    """

    total: int
    videos: tuple[Media, ...]


class Catalogue:
    """Videos by id.

    Args:
        videos: By id, with absolute paths; an empty path if there is no file.
    """

    def __init__(self, videos: Mapping[str, Media]) -> None:
        self._videos = dict(videos)
        self._ids = sorted(self._videos)

    def __len__(self) -> int:
        return len(self._ids)

    def get(self, video: str) -> Media | None:
        """A video, or None if it is not listed."""
        return self._videos.get(video)

    def file(self, video: str) -> Path | None:
        """A video's file, or None if it is not listed or missing."""
        listed = self._videos.get(video)
        path = Path(listed.path) if listed and listed.path else None
        return path if path and path.is_file() else None

    def page(self, prefix: str, start: int, count: int) -> Page:
        """Up to `count` videos whose ids have a prefix, after skipping `start`."""
        first = bisect.bisect_left(self._ids, prefix)
        end = bisect.bisect_left(self._ids, True, lo=first, key=lambda each: not each.startswith(prefix))
        ids = self._ids[first + start : min(first + start + count, end)]
        return Page(end - first, tuple(self._videos[video] for video in ids))


def media_type(path: Path) -> str:
    """Media type of a file: a video, or bytes that a browser neither runs nor renders."""
    return _TYPES.get(path.suffix.lower(), "application/octet-stream")
