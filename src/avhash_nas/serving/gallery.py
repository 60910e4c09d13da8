"""Lists, files and thumbnails of the catalogue."""

from collections import OrderedDict
from pathlib import Path

from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.job_queue import JobQueue
from avhash_nas.serving.reading import thumbnail
from avhash_nas.serving.sandbox import Sandbox, SandboxError
from avhash_nas.serving.schemas import Listed, ListPage, RefusalError, ServiceLimits, listed

_SIDE = 240  # pixels of the shorter side
_WAITING = 256


class Gallery:
    """Lists, files and thumbnails of the catalogue; thumbnails are decoded in the sandbox, two at a time, and cached.

    Args:
        catalogue: The videos.
        sandbox: Decodes their files.
        limits: Limits on requests.
    """

    def __init__(self, catalogue: Catalogue, sandbox: Sandbox, limits: ServiceLimits) -> None:
        self.catalogue = catalogue
        self._sandbox = sandbox
        self._limits = limits
        self._queue = JobQueue("thumbnail", 2, _WAITING)
        self._cache = ThumbnailCache()

    def videos(self, prefix: str, start: int, count: int) -> ListPage:
        """A page of the list, as `Catalogue.page`."""
        page = self.catalogue.page(prefix, start, count)
        return ListPage(page.total, tuple(listed(video, self.catalogue) for video in page.videos))

    def video(self, video: str) -> Listed:
        """One video.

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
            RefusalError: It is not listed, or its file is missing.
        """
        path = self.catalogue.file(video)
        if path is None:
            raise RefusalError(404, f"there is no file of video {video!r}")
        return path

    async def thumbnail(self, video: str, step: int = 0, of: int = 1) -> bytes:
        """A frame of a video, JPEG: the middle one, or of its `of` time steps the one numbered `step`.

        Raises:
            RefusalError: There is no such file, it cannot be decoded, or too many jobs wait.
        """
        key = f"{video} {step} {of}"
        image = self._cache.get(key)
        if image is None:
            path = str(self.file(video))
            try:
                image = await self._queue.run(thumbnail, self._sandbox, path, _SIDE, self._limits, step, of)
            except SandboxError as error:
                raise RefusalError(404, f"video {video!r} has no thumbnail: {error}") from error
            self._cache.put(key, image)
        return image

    def close(self) -> None:
        """Drops waiting jobs."""
        self._queue.close()


class ThumbnailCache:
    """A least-recently-used cache of JPEG images.

    Args:
        size: Capacity in bytes.
    """

    def __init__(self, size: int = 32 * 2**20) -> None:
        self.size = size
        self._images: OrderedDict[str, bytes] = OrderedDict()
        self._used = 0

    def get(self, video: str) -> bytes | None:
        """An image, if cached."""
        image = self._images.get(video)
        if image is not None:
            self._images.move_to_end(video)
        return image

    def put(self, video: str, image: bytes) -> None:
        """Adds an image and evicts the least recently used ones."""
        self._used += _weight(image) - _weight(self._images.pop(video, None))
        self._images[video] = image
        while self._used > self.size:
            self._used -= _weight(self._images.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._images)


def _weight(image: bytes | None) -> int:
    """Size in bytes, including the entry itself."""
    return 0 if image is None else len(image) + 256
