"""Selected frames of a video as upright RGB pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction.media_file import MediaFile
from avhash_nas.extraction.timeline import Ticks, Timeline
from avhash_nas.extraction.track import Track

Picture = NDArray[np.uint8]
Turn = tuple[int, int, int, int]

_MAX_SIDE_RATIO = 4
"""The long side of a picture is at most this many times the bound on the short one."""

_ASPECT_RANGE = (1 / 4, 4.0)
"""Pixel aspect ratios outside this range are taken for a mistake and replaced by 1."""


@dataclass(frozen=True)
class Conversion:
    """Conversion of all frames of one video to pictures, whatever a later frame states.

    Pixels are made square by stretching the shorter direction; high bit depths become 8 bits, without tone mapping;
    transparent areas become white; interlaced frames stay interlaced.

    Attributes:
        width: Width of the scaled frame before rotation.
        height: Height of the scaled frame before rotation.
        turn: The 2 x 2 part of the display matrix: a, b, c, d; (x, y) is shown at (a x + c y, b x + d y).
    """

    width: int
    height: int
    turn: Turn

    @classmethod
    def of(cls, frame: Any, aspect: float, side: int) -> Self:
        """The conversion of a video.

        Args:
            frame: Its first decoded frame.
            aspect: Aspect ratio of a stored pixel, width / height.
            side: Bound on the short side in pixels; the long side is at most four times as long.
        """
        aspect = aspect if _ASPECT_RANGE[0] <= aspect <= _ASPECT_RANGE[1] else 1.0
        width, height = frame.width * max(1.0, aspect), frame.height * max(1.0, 1 / aspect)
        scale = min(1.0, side / min(width, height), _MAX_SIDE_RATIO * side / max(width, height))
        return cls(max(1, round(width * scale)), max(1, round(height * scale)), _turn(frame))

    def __call__(self, frame: Any) -> Picture:
        """The picture, RGB, (H, W, 3)."""
        transparent = any(component.is_alpha for component in frame.format.components)
        scaled = frame.reformat(self.width, self.height, "rgba" if transparent else "rgb24", interpolation="BICUBIC")
        picture: Picture = scaled.to_ndarray()
        if transparent:
            opacity = picture[..., 3:].astype(np.float32) / 255
            picture = (picture[..., :3] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)
        return np.ascontiguousarray(self._rotate(picture))

    def _rotate(self, picture: Picture) -> Picture:
        a, b, c, d = self.turn
        if abs(a) + abs(d) < abs(b) + abs(c):  # stored rows are shown as columns
            picture, a, d = picture.swapaxes(0, 1), c, b
        return picture[:: 1 if d >= 0 else -1, :: 1 if a >= 0 else -1]


def _turn(frame: Any) -> Turn:
    """The display matrix; ``Conversion`` rounds its angle to quarter turns."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
            return a, b, c, d
    return 1, 0, 0, 1


def read_pictures(file: MediaFile, timeline: Timeline, times: Ticks, side: int) -> tuple[Picture, bool]:
    """Decodes the frames shown at some times.

    Decoding runs forward, and jumps to the last key frame before a requested frame if that lies ahead. A frame that
    cannot be decoded is replaced by the nearest one in time.

    Args:
        file: The file.
        timeline: Times of its frames.
        times: Presentation times of the requested frames, ascending, (T,).
        side: Bound on the short side of a picture (`Conversion.of`).

    Returns:
        RGB, upright, with square pixels, (T, H, W, 3); and whether anything was damaged.

    Raises:
        MediaError: No frame can be decoded.
    """
    distinct = np.unique(times)
    track = Track(file, file.pictures, timeline.timed)
    try:
        aspect = float(track.stream.sample_aspect_ratio or 1)
        pictures: list[Picture] = []
        convert: Conversion | None = None
        for frame in _nearest(track, timeline, distinct.tolist()):
            convert = convert or Conversion.of(frame, aspect, side)
            pictures.append(convert(frame))
            track.damaged |= frame.is_corrupt
    finally:
        track.close()
    if not pictures:
        raise file.error(
            f"nothing of its video track can be decoded (frames beyond {file.limits.pixels} pixels are not tried)"
        )
    return np.stack([pictures[i] for i in np.searchsorted(distinct, times)]), track.damaged


def _nearest(track: Track, timeline: Timeline, times: Sequence[int]) -> Iterator[Any]:
    """For each time the decoded frame of that time, or the nearest one; nothing if none can be decoded."""
    before: tuple[int, Any] | None = None
    after: tuple[int, Any] | None = None
    for time in times:
        here = int(timeline.shown[0]) if after is None else after[0]
        key = int(timeline.keys[max(int(np.searchsorted(timeline.keys, time, side="right")) - 1, 0)])
        if key > here:
            track.jump(key, key)
        while after is None or after[0] < time:
            following = track.next()
            if following is None:
                break
            before, after = after, following
        candidates = [each for each in (before, after) if each is not None]
        if not candidates:
            return
        yield min(candidates, key=lambda each: abs(each[0] - time))[1]
