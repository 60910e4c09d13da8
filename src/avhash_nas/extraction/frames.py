"""From a decoded frame to the picture that a viewer would see."""

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

_LONGEST = 4
"""The long side of a picture is at most so many times the bound on the short one."""

_ASPECTS = (1 / 4, 4.0)
"""Pixels narrower or wider than this are taken for a mistake, and for square."""


@dataclass(frozen=True)
class Conversion:
    """How the frames of one video become pictures: all alike, whatever a later frame says.

    Pixels are made square by stretching the shorter direction; high bit depths become 8 bits, without tone mapping;
    what is transparent becomes white; interlaced frames stay so.

    Attributes:
        width: Of the scaled frame, before it is turned.
        height: Likewise.
        turn: The 2 x 2 part of the display matrix: a, b, c, d; (x, y) is shown at (a x + c y, b x + d y).
    """

    width: int
    height: int
    turn: Turn

    @classmethod
    def of(cls, frame: Any, aspect: float, side: int) -> Self:
        """How to convert the frames of a video.

        Args:
            frame: Its first decoded frame.
            aspect: Width to height of a stored pixel.
            side: The short side is scaled down to so many pixels at most, and the long side to four times as many.
        """
        aspect = aspect if _ASPECTS[0] <= aspect <= _ASPECTS[1] else 1.0
        width, height = frame.width * max(1.0, aspect), frame.height * max(1.0, 1 / aspect)
        scale = min(1.0, side / min(width, height), _LONGEST * side / max(width, height))
        return cls(max(1, round(width * scale)), max(1, round(height * scale)), _turn(frame))

    def __call__(self, frame: Any) -> Picture:
        """The picture, RGB, (H, W, 3)."""
        transparent = any(component.is_alpha for component in frame.format.components)
        scaled = frame.reformat(self.width, self.height, "rgba" if transparent else "rgb24", interpolation="BICUBIC")
        picture: Picture = scaled.to_ndarray()
        if transparent:
            opaque = picture[..., 3:].astype(np.float32) / 255
            picture = (picture[..., :3] * opaque + 255 * (1 - opaque)).round().astype(np.uint8)
        return np.ascontiguousarray(self._turned(picture))

    def _turned(self, picture: Picture) -> Picture:
        a, b, c, d = self.turn
        if abs(a) + abs(d) < abs(b) + abs(c):  # stored rows are shown as columns
            picture, a, d = picture.swapaxes(0, 1), c, b
        return picture[:: 1 if d >= 0 else -1, :: 1 if a >= 0 else -1]


def _turn(frame: Any) -> Turn:
    """Turns by other angles than quarters are rounded to the nearest quarter."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
            return a, b, c, d
    return 1, 0, 0, 1


def read_pictures(file: MediaFile, timeline: Timeline, chosen: Ticks, side: int) -> tuple[Picture, bool]:
    """Decode the chosen frames.

    Decoding goes forward, and jumps to the last key frame before a chosen frame wherever that lies ahead. A frame
    that cannot be decoded is replaced by the nearest one in time that was.

    Args:
        file: The file.
        timeline: Its frames in time.
        chosen: When the chosen frames are shown first, ascending, (T,).
        side: Bound on the short side of a picture (`Conversion.of`).

    Returns:
        RGB, upright, with square pixels, (T, H, W, 3); and whether something was damaged.

    Raises:
        MediaError: No frame can be decoded.
    """
    wanted = np.unique(chosen)
    track = Track(file, file.pictures, timeline.timed)
    try:
        aspect = float(track.stream.sample_aspect_ratio or 1)
        kept: list[Picture] = []
        convert: Conversion | None = None
        for frame in _nearest(track, timeline, wanted.tolist()):
            convert = convert or Conversion.of(frame, aspect, side)
            kept.append(convert(frame))
            track.damaged |= frame.is_corrupt
    finally:
        track.close()
    if not kept:
        raise file.error(
            f"nothing of its video track can be decoded (frames beyond {file.limits.pixels} pixels are not tried)"
        )
    return np.stack([kept[i] for i in np.searchsorted(wanted, chosen)]), track.damaged


def _nearest(track: Track, timeline: Timeline, wanted: Sequence[int]) -> Iterator[Any]:
    """For each wanted time the decoded frame of that time, or the nearest one; nothing if none can be decoded."""
    before: tuple[int, Any] | None = None
    after: tuple[int, Any] | None = None
    for time in wanted:
        here = int(timeline.shown[0]) if after is None else after[0]
        key = int(timeline.keys[max(int(np.searchsorted(timeline.keys, time, side="right")) - 1, 0)])
        if key > here:
            track.jump(key, key)
        while after is None or after[0] < time:
            found = track.next()
            if found is None:
                break
            before, after = after, found
        known = [each for each in (before, after) if each is not None]
        if not known:
            return
        yield min(known, key=lambda each: abs(each[0] - time))[1]
