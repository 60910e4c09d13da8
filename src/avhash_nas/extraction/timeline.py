"""When the frames of a video are shown, told by its packets, not by its header."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction.media_file import MediaFile

Ticks = NDArray[np.int64]

_MISSING = 0.1
"""Share of what the header promises that may be missing; those of good files are off by a frame or two."""


@dataclass(frozen=True)
class Timeline:
    """The frames of a video in time. A tick is a unit of the stream's time base.

    Attributes:
        shown: When each frame is shown first, ascending.
        keys: Those from which decoding can start, ascending; the first frame counts as one.
        end: When the last frame ends.
        base: Seconds a tick.
        timed: Whether the file has times; without them a tick is a frame.
        whole: Whether the file could be read to the end, and has what its header promises.
        damaged: Whether the container marked a packet as incomplete.
    """

    shown: Ticks
    keys: Ticks
    end: int
    base: Fraction
    timed: bool
    whole: bool
    damaged: bool

    @property
    def start(self) -> float:
        """When the first frame is shown, in seconds of the container's clock."""
        return float(self.shown[0] * self.base)

    @property
    def seconds(self) -> float:
        """Duration of the pictures."""
        return float((self.end - int(self.shown[0])) * self.base)

    def chosen(self, steps: int) -> Ticks:
        """The frames that are on show in the middle of each of `steps` equal parts of the duration.

        Args:
            steps: T.

        Returns:
            When each is shown first, ascending, (T,); a frame comes again where it is on show in several middles.
        """
        first = int(self.shown[0])
        middles = first + (2 * np.arange(steps) + 1) * (self.end - first) / (2 * steps)
        return self.shown[np.maximum(np.searchsorted(self.shown, middles, side="right") - 1, 0)]


def read_timeline(file: MediaFile) -> Timeline:
    """Go through the packets of a file, without decoding.

    Headers are wrong or silent about duration and number of frames in many containers, and say nothing about variable
    frame rates; packets are what is really there. Reading them costs little beside decoding.

    Args:
        file: The file.

    Raises:
        MediaError: The file is no video, has no video packet, or is beyond a limit.
    """
    import av

    with file.open() as container:
        stream = file.pictures(container)
        found = _Found(stream.time_base, _frame_ticks(stream))
        heard = {each: each.time_base for each in container.streams.audio[:1]}
        start, end = (container.start_time or 0) / av.time_base, 0.0
        whole, damaged = True, False
        try:
            for packet in file.packets(container, stream, *heard):
                damaged |= packet.is_corrupt
                if packet.is_discard:
                    continue
                if packet.stream is stream:
                    ended = found.add(packet)
                else:
                    ended = ((packet.pts or 0) + (packet.duration or 0)) * float(heard[packet.stream])
                end = max(end, ended)
                file.check(found.seconds, len(found.times))
        except av.FFmpegError:
            whole = False
        promised, frames = (container.duration or 0) / av.time_base, stream.frames
    if not found.times:
        raise file.error("its video track is empty")
    enough = 1 - _MISSING
    whole &= end - start >= promised * enough and len(found.times) >= frames * enough
    timeline = found.timeline(whole, damaged)
    file.check(timeline.seconds)
    return timeline


def _frame_ticks(stream: Any) -> int:
    """Ticks of a frame at the rate that the header tells, at least 1."""
    rate = stream.average_rate or stream.guessed_rate
    return max(1, round(1 / (rate * stream.time_base))) if rate else 1


class _Found:
    """What the packets told so far."""

    def __init__(self, base: Fraction, frame: int) -> None:
        self.base, self.frame = base, frame
        self.times: list[int | None] = []
        self.keys: list[int] = []
        self.first: int | None = None
        self.last, self.last_duration = 0, 0

    def add(self, packet: Any) -> float:
        """Take a packet in; gives its end in seconds."""
        time = packet.pts if packet.pts is not None else packet.dts
        self.times.append(time)
        if time is None:
            return 0.0
        if packet.is_keyframe:
            self.keys.append(time)
        self.first = time if self.first is None else min(self.first, time)
        if time >= self.last or len(self.times) == 1:
            self.last, self.last_duration = time, packet.duration or 0
        return float((time + (packet.duration or 0)) * self.base)

    @property
    def seconds(self) -> float:
        return 0.0 if self.first is None else float((self.last - self.first) * self.base)

    def timeline(self, whole: bool, damaged: bool) -> Timeline:
        known = [time for time in self.times if time is not None]
        if not known:
            shown = np.arange(len(self.times), dtype=np.int64)
            return Timeline(shown, shown[:1], len(shown), self.frame * self.base, False, whole, damaged)
        shown = np.unique(np.array(known, np.int64))
        keys = np.unique(np.array([shown[0], *self.keys], np.int64))
        gap = int(np.median(np.diff(shown))) if len(shown) > 1 else self.frame
        return Timeline(shown, keys, int(shown[-1]) + (self.last_duration or gap), self.base, True, whole, damaged)
