"""The sound of a video in equal segments: only what is heard in them is decoded and kept."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction.media_file import MediaFile
from avhash_nas.extraction.track import Track

Samples = NDArray[np.float32]

_LEAD = 0.5
"""Seconds decoded before a segment that was jumped to: decoders need some packets to settle."""

_WORTH_A_JUMP = 5.0
"""Seconds to the next segment beyond which a jump is tried."""

_GAP = 0.1
"""Seconds by which a frame may begin before or after the end of the last one; beyond, the sound begins anew there."""


class Segments:
    """Equal segments around the middles of `steps` equal parts of a duration, to be filled; zeros at first.

    They last as long as the parts, so that they follow each other, but at most `longest`: of longer parts the middle
    is heard, around the frame that is seen.

    Args:
        seconds: Duration.
        steps: T.
        rate: Samples a second.
        longest: Bound on the duration of a segment, in seconds.

    Attributes:
        samples: (T, S).
        starts: Position of each segment's first sample, ascending, (T,).
    """

    def __init__(self, seconds: float, steps: int, rate: int, longest: float) -> None:
        part = seconds / steps * rate
        length = max(1, int(min(part, longest * rate)))
        self.samples: Samples = np.zeros((steps, length), np.float32)
        self.starts = np.round((np.arange(steps) + 0.5) * part - length / 2).astype(np.int64)

    @property
    def length(self) -> int:
        """S."""
        return int(self.samples.shape[1])

    def put(self, position: int, samples: Samples) -> None:
        """Lay samples over all segments that they reach.

        Args:
            position: Of the first sample; may be negative.
            samples: (n,).
        """
        end = position + len(samples)
        for i in range(int(np.searchsorted(self.starts, position - self.length, side="right")), len(self.starts)):
            start = int(self.starts[i])
            if start >= end:
                break
            first, last = max(start, position), min(start + self.length, end)
            self.samples[i, first - start : last - start] = samples[first - position : last - position]


def read_sound(file: MediaFile, start: float, segments: Segments, rate: int) -> tuple[bool, bool]:
    """Decode the sound of a file into segments.

    Where the file has no sound, before, behind and in gaps, zeros stay.

    Args:
        file: The file.
        start: When position 0 is, in seconds of the container's clock.
        segments: To be filled: mono, the mean of the channels (of 5.1 a weighted one), in [-1, 1].
        rate: Samples a second.

    Returns:
        Whether any sound was decoded; and whether something was damaged.

    Raises:
        MediaError: Time is up.
    """
    with file.open() as container:
        streams = container.streams.audio
        if not streams or streams[0].codec_context is None:
            return False, False
    hearing = _Hearing(file, start, rate)
    try:
        for first in segments.starts.tolist():
            for position, samples in hearing.between(first, first + segments.length):
                segments.put(position, samples)
    finally:
        hearing.track.close()
    return hearing.any, hearing.track.damaged


class _Hearing:
    """Decodes and resamples.

    Positions are in samples at the wanted rate from the start of the video.
    """

    def __init__(self, file: MediaFile, start: float, rate: int) -> None:
        self.track = Track(file, lambda container: _prepared(file, container.streams.audio[0]))
        self.any = False
        self._start, self._rate = start, rate
        self._resampler: Any = None
        self._kind: Any = None
        self._due = 0.0
        self._position = 0

    def between(self, first: int, last: int) -> Iterator[tuple[int, Samples]]:
        """Sound up to `last` at least, and from `first` on or earlier, in parts with their positions."""
        self._go_to(first)
        while self._position < last:
            found = self.track.next()
            if found is None:
                yield from self._rest()
                return
            yield from self._take(*found)

    def _go_to(self, first: int) -> None:
        """Jump where it saves much."""
        if first - self._position > _WORTH_A_JUMP * self._rate:
            base = self.track.stream.time_base
            aim = first / self._rate + self._start
            self.track.jump(round((aim - _LEAD) / base), round(aim / base))

    def _take(self, ticks: int, frame: Any) -> Iterator[tuple[int, Samples]]:
        import av

        time = float(ticks * self.track.stream.time_base) - self._start
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or kind != self._kind or abs(time - self._due) > _GAP:
            yield from self._rest()
            # s16 takes the mean of the channels; float formats would add them up, 3 dB louder and beyond 1
            self._resampler = av.AudioResampler("s16", "mono", self._rate)
            self._kind, self._due, self._position = kind, time, round(time * self._rate)
        self._due += frame.samples / frame.sample_rate
        yield from self._resampled(frame)

    def _rest(self) -> Iterator[tuple[int, Samples]]:
        """What the resampler still holds."""
        if self._resampler is not None:
            yield from self._resampled(None)
            self._resampler = None

    def _resampled(self, frame: Any) -> Iterator[tuple[int, Samples]]:
        for part in self._resampler.resample(frame):
            samples = part.to_ndarray().reshape(-1).astype(np.float32) / 32768
            self.any = True
            yield self._position, samples
            self._position += len(samples)


def _prepared(file: MediaFile, stream: Any) -> Any:
    file.prepare(stream.codec_context)
    return stream
