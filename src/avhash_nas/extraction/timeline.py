"""Presentation times of the frames of a video, from its packets instead of its header."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction.media_file import MediaFile

Ticks = NDArray[np.int64]

_TOLERANCE = 0.1
"""Tolerated share of the header's duration and frame count that is missing; good files miss a frame or two."""


@dataclass(frozen=True)
class Timeline:
    """Times of the frames of a video, in ticks of the stream's time base.

    Attributes:
        shown: Presentation time of each frame, ascending.
        keys: Times of the frames at which decoding can start, ascending; the first frame counts as one.
        end: End of the last frame.
        base: Seconds per tick.
        timed: Whether the file has timestamps; otherwise a tick is a frame.
        complete: Whether the file could be read to the end and holds what its header states.
        damaged: Whether the container marks a packet as corrupt.
    """

    shown: Ticks
    keys: Ticks
    end: int
    base: Fraction
    timed: bool
    complete: bool
    damaged: bool

    @property
    def start(self) -> float:
        """Time of the first frame, in seconds of the container's clock."""
        return float(self.shown[0] * self.base)

    @property
    def seconds(self) -> float:
        """Duration of the video track."""
        return float((self.end - int(self.shown[0])) * self.base)

    def frames_at_middles(self, steps: int) -> Ticks:
        """Times of the frames shown in the middle of each of T equal parts of the duration, ascending, (T,).

        A frame that is shown in several middles is repeated.
        """
        first = int(self.shown[0])
        middles = first + (2 * np.arange(steps) + 1) * (self.end - first) / (2 * steps)
        return self.shown[np.maximum(np.searchsorted(self.shown, middles, side="right") - 1, 0)]


def read_timeline(file: MediaFile) -> Timeline:
    """Scans the packets of a file without decoding them.

    In many containers the header's duration and frame count are wrong or missing, and it does not describe variable
    frame rates. Scanning packets is cheap compared to decoding.

    Raises:
        MediaError: The file is not a video, has no video packet, or exceeds a limit.
    """
    import av

    with file.open() as container:
        stream = file.pictures(container)
        scan = _PacketScan(stream.time_base, _frame_ticks(stream))
        audio = {each: each.time_base for each in container.streams.audio[:1]}
        start, end = (container.start_time or 0) / av.time_base, 0.0
        complete, damaged = True, False
        try:
            for packet in file.packets(container, stream, *audio):
                damaged |= packet.is_corrupt
                if packet.is_discard:
                    continue
                if packet.stream is stream:
                    packet_end = scan.add(packet)
                else:
                    packet_end = ((packet.pts or 0) + (packet.duration or 0)) * float(audio[packet.stream])
                end = max(end, packet_end)
                file.check(scan.seconds, len(scan.times))
        except av.FFmpegError:
            complete = False
        stated_seconds, stated_frames = (container.duration or 0) / av.time_base, stream.frames
    if not scan.times:
        raise file.error("its video track is empty")
    enough = 1 - _TOLERANCE
    complete &= end - start >= stated_seconds * enough and len(scan.times) >= stated_frames * enough
    timeline = scan.timeline(complete, damaged)
    file.check(timeline.seconds)
    return timeline


def _frame_ticks(stream: Any) -> int:
    """Ticks per frame at the header's frame rate, at least 1."""
    rate = stream.average_rate or stream.guessed_rate
    return max(1, round(1 / (rate * stream.time_base))) if rate else 1


class _PacketScan:
    """Times collected from the video packets."""

    def __init__(self, base: Fraction, frame: int) -> None:
        self.base, self.frame = base, frame
        self.times: list[int | None] = []
        self.keys: list[int] = []
        self.first: int | None = None
        self.last, self.last_duration = 0, 0

    def add(self, packet: Any) -> float:
        """Adds a packet and returns its end in seconds."""
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

    def timeline(self, complete: bool, damaged: bool) -> Timeline:
        known = [time for time in self.times if time is not None]
        if not known:
            shown = np.arange(len(self.times), dtype=np.int64)
            return Timeline(shown, shown[:1], len(shown), self.frame * self.base, False, complete, damaged)
        shown = np.unique(np.array(known, np.int64))
        keys = np.unique(np.array([shown[0], *self.keys], np.int64))
        gap = int(np.median(np.diff(shown))) if len(shown) > 1 else self.frame
        return Timeline(shown, keys, int(shown[-1]) + (self.last_duration or gap), self.base, True, complete, damaged)
