"""Selected frames of a video as upright RGB pictures."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction.clock import Ticks
from avhash_nas.extraction.frame_finder import FrameFinder, OutOfOrderError
from avhash_nas.extraction.media_file import MediaFile
from avhash_nas.extraction.timeline import Timeline, read_timeline

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
            frame: Its first frame.
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


def read_frames(file: MediaFile, steps: int, side: int) -> tuple[Picture, Timeline, bool]:
    """Decodes the frames shown in the middles of T equal parts of a video.

    Args:
        file: The file.
        steps: T.
        side: Bound on the short side of a picture (`Conversion.of`).

    Returns:
        RGB, upright, with square pixels, (T, H, W, 3); the times of all frames; and whether anything was damaged.

    Raises:
        MediaError: The file is not a video, no frame can be decoded, or it exceeds a limit.
    """
    timeline = read_timeline(file)
    try:
        pictures, damaged = read_pictures(file, timeline, timeline.frames_at_middles(steps), side)
    except OutOfOrderError:
        timeline = timeline.in_order()
        pictures, damaged = read_pictures(file, timeline, timeline.frames_at_middles(steps), side)
    return pictures, timeline, damaged


def read_pictures(file: MediaFile, timeline: Timeline, times: Ticks, side: int) -> tuple[Picture, bool]:
    """Decodes the frames shown at some times.

    A frame that cannot be decoded is replaced by the nearest one in time. The first frame of the file states how all
    are turned.

    Args:
        file: The file.
        timeline: Times of its frames.
        times: Presentation times of the requested frames, ascending, (T,).
        side: Bound on the short side of a picture (`Conversion.of`).

    Returns:
        RGB, upright, with square pixels, (T, H, W, 3); and whether anything was damaged.

    Raises:
        MediaError: No frame can be decoded.
        OutOfOrderError: The timeline is by timestamps, and they contradict the order of the frames.
    """
    distinct = np.unique(times)
    finder = FrameFinder(file, timeline)
    track = finder.track
    try:
        if finder.first is None:
            raise file.error(
                f"nothing of its video track can be decoded (frames beyond {file.limits.pixels} pixels are not tried)"
            )
        convert = Conversion.of(finder.first, float(track.stream.sample_aspect_ratio or 1), side)
        pictures = []
        for time in distinct.tolist():
            frame = finder.at(time)
            pictures.append(convert(frame))
            track.damaged |= frame.is_corrupt
    finally:
        track.close()
    return np.stack([pictures[i] for i in np.searchsorted(distinct, times)]), track.damaged
