"""Showing the listed videos: pages of the list, the files, and a thumbnail of each."""

from pathlib import Path

from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.limits import ServiceLimits
from avhash_nas.serving.reading import thumbnail
from avhash_nas.serving.refusal import RefusalError
from avhash_nas.serving.replies import Listed, ListPage, listed
from avhash_nas.serving.sandbox import Sandbox, SandboxError
from avhash_nas.serving.thumbnails import ThumbnailCache
from avhash_nas.serving.waiting_line import WaitingLine

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
