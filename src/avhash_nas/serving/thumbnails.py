"""Thumbnails that have been made already, as many as fit."""

from collections import OrderedDict


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
