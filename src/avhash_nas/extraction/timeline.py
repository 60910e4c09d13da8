"""Presentation times of the frames of a video, from its packets instead of its header."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np

from avhash_nas.extraction.clock import Packets, Ticks, mend, row
from avhash_nas.extraction.media_file import MediaFile

_TOLERANCE = 0.1
"""Tolerated share of the header's duration and frame count that is missing; good files miss a frame or two."""

_HELD = 0.5
"""Seconds of sound behind the last frame, or before the first, that are no matter of packing."""


@dataclass(frozen=True)
class Timeline:
    """Times of the frames of a video, in ticks of the stream's time base.

    Attributes:
        shown: Presentation time of each frame, ascending.
        keys: Times of the frames at which decoding can start, ascending; the first frame counts as one.
        end: End of the last frame, or of the sound if that lasts longer: the last frame is shown meanwhile.
        base: Seconds per tick.
        gap: Median time from frame to frame.
        origin: Time of the first packet by the clock of decoding.
        by_order: Whether the decoder's frames take their times from their order instead of their timestamps, as the
            file has none or they contradict the order.
        doubtful: Whether only decoding can tell that timestamps contradict the order of the frames.
        complete: Whether the file could be read to the end and holds what its header states.
        damaged: Whether the container marks a packet as corrupt.
        held: Whether the last frame is shown until longer sound ends.
        early_sound: Whether more than half a second of sound lies before the first frame; it is not used.
        shifts: Ticks to add to the times of each packet if the file's clock breaks (`clock.mend`), or None.
        sound_shifts: The same for the sound track, in its ticks.
        tracks: Notes on the tracks read (`MediaFile.chosen_tracks`).
    """

    shown: Ticks
    keys: Ticks
    end: int
    base: Fraction
    gap: int
    origin: int
    by_order: bool
    doubtful: bool
    complete: bool = True
    damaged: bool = False
    held: bool = False
    early_sound: bool = False
    shifts: Ticks | None = None
    sound_shifts: Ticks | None = None
    tracks: tuple[str, ...] = ()

    @property
    def start(self) -> float:
        """Time of the first frame, in seconds of the container's clock."""
        return float(self.shown[0] * self.base)

    @property
    def seconds(self) -> float:
        """Duration of the video."""
        return float((self.end - int(self.shown[0])) * self.base)

    def frames_at_middles(self, steps: int) -> Ticks:
        """Times of the frames shown in the middle of each of T equal parts of the duration, ascending, (T,).

        A frame that is shown in several middles is repeated.
        """
        first = int(self.shown[0])
        middles = first + (2 * np.arange(steps) + 1) * (self.end - first) / (2 * steps)
        return self.shown[np.maximum(np.searchsorted(self.shown, middles, side="right") - 1, 0)]

    def in_order(self) -> Self:
        """The timeline if timestamps contradict the order of the frames.

        The times are the same, in ascending order, from the time at which the first packet is due: containers such as
        AVI know only that.
        """
        earlier = int(self.shown[0]) - self.origin
        return replace(
            self,
            shown=self.shown - earlier,
            keys=self.shown[:1] - earlier,
            end=self.end if self.held else self.end - earlier,
            by_order=True,
            doubtful=False,
        )


def read_timeline(file: MediaFile) -> Timeline:
    """Scans the packets of a file without decoding them.

    In many containers the header's duration and frame count are wrong or missing, and it does not describe variable
    frame rates. Scanning packets is cheap compared to decoding.

    Raises:
        MediaError: The file is not a video, has no video packet, or exceeds a limit.
    """
    import av
    from av.format import Flags

    with file.open() as container:
        stream, sound = file.pictures(container), file.sound(container)
        rows: dict[int, list[tuple[int, ...]]] = {each.index: [] for each in (stream, sound) if each is not None}
        frames, complete = rows[stream.index], True
        try:
            for packet in file.packets(container, *(container.streams[index] for index in rows)):
                rows[packet.stream_index].append(row(packet))
                file.check(frames=len(frames))
        except av.FFmpegError:
            complete = False
        tracks = [Packets.of(container.streams[index].time_base, rows[index]) for index in rows]
        if tracks[0].dropped.all():
            raise file.error("its video track is empty")
        shifts = mend(tracks) if container.format.flags & Flags.ts_discont.value else None
        complete &= shifts is not None or _holds_what_it_states(container, stream, tracks)
        timeline = replace(
            _timeline(tracks[0], stream),
            complete=complete,
            damaged=any(bool(track.corrupt.any()) for track in tracks),
            tracks=file.chosen_tracks(container),
            shifts=None if shifts is None else shifts[0],
            sound_shifts=None if shifts is None else shifts[-1],
        )
        if sound is not None and not timeline.by_order:
            timeline = _with_sound(timeline, tracks[1])
    file.check(timeline.seconds)
    return timeline


def _holds_what_it_states(container: Any, stream: Any, tracks: Sequence[Packets]) -> bool:
    """Whether duration and number of frames reach what the header says."""
    import av

    start = (container.start_time or 0) / av.time_base
    end = max(float((track.shown + track.durations)[track.used].max(initial=0) * track.base) for track in tracks)
    enough = 1 - _TOLERANCE
    stated_seconds = (container.duration or 0) / av.time_base
    return end - start >= stated_seconds * enough and len(tracks[0].shown) >= stream.frames * enough


def _timeline(frames: Packets, stream: Any) -> Timeline:
    gap = _frame_ticks(stream)
    used = frames.used
    if not used.any():
        count = int((~frames.dropped).sum())
        shown = np.arange(count, dtype=np.int64)
        return Timeline(shown, shown[:1], count, gap * frames.base, gap=1, origin=0, by_order=True, doubtful=False)
    times = frames.shown[used]
    shown = np.unique(times)
    gap = int(np.median(np.diff(shown))) if len(shown) > 1 else gap
    last = np.flatnonzero(times == shown[-1])[-1]
    return Timeline(
        shown=shown,
        keys=np.unique(np.append(times[frames.keys[used]], shown[0])),
        end=int(shown[-1]) + (int(frames.durations[used][last]) or gap),
        base=frames.base,
        gap=gap,
        origin=int(min(shown[0], frames.clock[used].min())),
        by_order=False,
        doubtful=_is_doubtful(stream, times),
    )


def _frame_ticks(stream: Any) -> int:
    """Ticks per frame at the header's frame rate, at least 1."""
    rate = stream.average_rate or stream.guessed_rate
    return max(1, round(1 / (rate * stream.time_base))) if rate else 1


def _is_doubtful(stream: Any, times: Ticks) -> bool:
    """Whether the codec reorders frames, and the timestamps of the packets may be in the order of decoding.

    AVI stores no presentation times; XviD packs two frames into one packet.
    """
    context = stream.codec_context
    reordered = bool((np.diff(times) < 0).any())
    return bool(context.has_b_frames) and (not reordered or context.name == "mpeg4")


def _with_sound(timeline: Timeline, sound: Packets) -> Timeline:
    """Extends the last frame over longer sound, as players do, and notices sound before the first frame."""
    starts = sound.shown[sound.used] * float(sound.base)
    ends = starts + sound.durations[sound.used] * float(sound.base)
    early = np.maximum(np.minimum(ends, timeline.start) - starts, 0).sum()
    late = np.maximum(ends - np.maximum(starts, timeline.start + timeline.seconds), 0).sum()  # of gaps, nothing
    timeline = replace(timeline, early_sound=bool(early > _HELD))
    if late <= _HELD:
        return timeline
    return replace(timeline, end=timeline.end + round(late / float(timeline.base)), held=True)
