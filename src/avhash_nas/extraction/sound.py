"""The sound of a video in equal segments, decoding only what they need."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction.clock import Ticks
from avhash_nas.extraction.media_file import MediaFile
from avhash_nas.extraction.track import Track

Samples = NDArray[np.float32]

_PREROLL = 0.5
"""Seconds decoded before a segment after a jump: decoders need some packets to settle."""

_MIN_JUMP = 5.0
"""Seconds to the next segment above which a jump pays off."""

_MAX_GAP = 0.1
"""Largest distance in seconds between the end of a frame and the start of the next; above it, positions are reset."""


class Segments:
    """Equal segments, centered in T equal parts of a duration, that are filled with samples; zeros at first.

    A segment is as long as a part, so consecutive segments touch, but at most ``longest`` seconds.

    Args:
        seconds: Duration.
        steps: T.
        rate: Samples per second.
        longest: Maximum duration of a segment, in seconds.

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
        """Copies samples to all segments that they overlap.

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


def read_sound(
    file: MediaFile, start: float, segments: Segments, rate: int, shifts: Ticks | None = None
) -> tuple[bool, bool]:
    """Decodes the sound of a file into segments; zeros remain where the file has none.

    Args:
        file: The file.
        start: Time of position 0, in seconds of the container's clock.
        segments: Filled with mono sound in [-1, 1]: the mean of the channels (of 5.1, a weighted mean).
        rate: Samples per second.
        shifts: `Timeline.sound_shifts`.

    Returns:
        Whether any sound was decoded, and whether anything was damaged.

    Raises:
        MediaError: The time limit is exceeded.
    """
    with file.open() as container:
        if file.sound(container) is None:
            return False, False
    decoder = _SoundDecoder(file, start, rate, shifts)
    try:
        for first in segments.starts.tolist():
            for position, samples in decoder.between(first, first + segments.length):
                segments.put(position, samples)
    finally:
        decoder.track.close()
    return decoder.any_sound, decoder.track.damaged


class _SoundDecoder:
    """Decodes and resamples. Positions are in samples at the target rate from the start of the video."""

    def __init__(self, file: MediaFile, start: float, rate: int, shifts: Ticks | None) -> None:
        self.track = Track(file, file.sound, shifts=shifts)
        self.any_sound = False
        self._start, self._rate = start, rate
        self._resampler: Any = None
        self._format: Any = None
        self._expected_time = 0.0
        self._position = 0

    def between(self, first: int, last: int) -> Iterator[tuple[int, Samples]]:
        """Sound from ``first`` or earlier to at least ``last``, in pieces with their positions."""
        self._jump_near(first)
        while self._position < last:
            following = self.track.next()
            if following is None:
                yield from self._flush()
                return
            yield from self._add(*following)

    def _jump_near(self, first: int) -> None:
        if first - self._position > _MIN_JUMP * self._rate:
            base = self.track.stream.time_base
            target = first / self._rate + self._start
            self.track.jump(round((target - _PREROLL) / base), round(target / base))

    def _add(self, ticks: int, frame: Any) -> Iterator[tuple[int, Samples]]:
        import av

        time = float(ticks * self.track.stream.time_base) - self._start
        sample_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        gap = abs(time - self._expected_time)
        if self._resampler is None or sample_format != self._format or gap > _MAX_GAP:
            yield from self._flush()
            # s16 averages the channels; float formats would sum them, 3 dB louder and beyond 1
            self._resampler = av.AudioResampler("s16", "mono", self._rate)
            self._format, self._expected_time, self._position = sample_format, time, round(time * self._rate)
        self._expected_time += frame.samples / frame.sample_rate
        yield from self._resample(frame)

    def _flush(self) -> Iterator[tuple[int, Samples]]:
        if self._resampler is not None:
            yield from self._resample(None)
            self._resampler = None

    def _resample(self, frame: Any) -> Iterator[tuple[int, Samples]]:
        for part in self._resampler.resample(frame):
            samples = part.to_ndarray().reshape(-1).astype(np.float32) / 32768
            self.any_sound = True
            yield self._position, samples
            self._position += len(samples)
