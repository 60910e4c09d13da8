"""Showing the listed videos: pages of the list, the files, and a thumbnail of each."""

from collections import OrderedDict
from pathlib import Path

from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.job_queue import WaitingLine
from avhash_nas.serving.reading import thumbnail
from avhash_nas.serving.sandbox import Sandbox, SandboxError
from avhash_nas.serving.schemas import Listed, ListPage, RefusalError, ServiceLimits, listed


class ThumbnailCache:
    """The pictures that were wanted last.

    Args:
        size: Bytes of all pictures.
    """

    def __init__(self, size: int = 32 * 2**20) -> None:
        self.size = size
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._taken = 0

    def get(self, video: str) -> bytes | None:
        """A picture, if it is kept."""
        picture = self._pictures.get(video)
        if picture is not None:
            self._pictures.move_to_end(video)
        return picture

    def put(self, video: str, picture: bytes) -> None:
        """Keep a picture, and drop those that were not wanted for the longest time."""
        self._taken += _weight(picture) - _weight(self._pictures.pop(video, None))
        self._pictures[video] = picture
        while self._taken > self.size:
            self._taken -= _weight(self._pictures.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._pictures)


def _weight(picture: bytes | None) -> int:
    """Bytes, with some for the entry itself."""
    return 0 if picture is None else len(picture) + 256


_SIDE = 240
_WAITING = 256


class Gallery:
    """What can be seen of the listed videos; thumbnails are made in the sandbox, two at a time, and kept.

    Args:
        catalogue: The videos.
        sandbox: Where their files are decoded.
        limits: What one request may cost.
    """

    def __init__(self, catalogue: Catalogue, sandbox: Sandbox, limits: ServiceLimits) -> None:
        self.catalogue = catalogue
        self._sandbox = sandbox
        self._limits = limits
        self._line = WaitingLine("thumbnail", 2, _WAITING)
        self._made = ThumbnailCache()

    def videos(self, prefix: str, start: int, count: int) -> ListPage:
        """Some of the videos, as `Catalogue.page`."""
        page = self.catalogue.page(prefix, start, count)
        return ListPage(page.total, tuple(listed(video, self.catalogue) for video in page.videos))

    def video(self, video: str) -> Listed:
        """One of the videos.

        Raises:
            RefusalError: It is not listed.
        """
        known = self.catalogue.get(video)
        if known is None:
            raise RefusalError(404, f"there is no video {video!r} in the list")
        return listed(known, self.catalogue)

    def file(self, video: str) -> Path:
        """A video's file.

        Raises:
            RefusalError: It is not listed, or its file is gone.
        """
        path = self.catalogue.file(video)
        if path is None:
            raise RefusalError(404, f"there is no file of a video {video!r}")
        return path

    async def thumbnail(self, video: str) -> bytes:
        """A frame of a video, JPEG.

        Raises:
            RefusalError: There is no such file, nothing to see in it, or too many wait.
        """
        picture = self._made.get(video)
        if picture is None:
            path = str(self.file(video))
            try:
                picture = await self._line.run(thumbnail, self._sandbox, path, _SIDE, self._limits)
            except SandboxError as error:
                raise RefusalError(404, f"nothing can be seen of video {video!r}: {error}") from error
            self._made.put(video, picture)
        return picture

    def close(self) -> None:
        """Drop what waits."""
        self._line.close()
