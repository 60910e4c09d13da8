"""One stream of a file, decoded forward, with jumps ahead."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

from avhash_nas.extraction.media_file import MediaFile

_EARLIER = 0.5
"""Seconds before the aim to which a container is asked to go: some go by decoding times, which run ahead."""


class Track:
    """Decoded frames of one stream.

    Args:
        file: The file.
        choose: Picks the stream of an opened container.
        timed: Whether the file has times; without them frames are counted, from 0, and jumps do nothing.

    Attributes:
        stream: The stream.
        damaged: Whether anything could not be decoded so far.
    """

    def __init__(self, file: MediaFile, choose: Callable[[Any], Any], timed: bool = True) -> None:
        self.damaged = False
        self._file, self._choose, self._timed = file, choose, timed
        self._can_jump = timed
        self._open()

    def _open(self) -> None:
        self._container = self._file.open()
        self.stream = self._choose(self._container)
        self._count = 0
        self._frames = self._decode(self._file.packets(self._container, self.stream))

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def next(self) -> tuple[int, Any] | None:
        """When the next frame is shown or heard, in ticks of the stream, and the frame; None behind the last.

        Raises:
            MediaError: Time is up.
        """
        for frame in self._frames:
            self._count += 1
            time = frame.pts if self._timed else self._count - 1
            if time is not None:
                return time, frame
        return None

    def jump(self, aim: int, latest: int) -> None:
        """Go on with the first packet of time `aim` or later.

        Where the container cannot find it, the track is read from its start instead, this time and from then on.

        Args:
            aim: In ticks of the stream.
            latest: If the first packet comes after this, the container has gone too far.
        """
        import av

        if not self._can_jump:
            return
        try:
            microseconds = int((aim * self.stream.time_base - Fraction(_EARLIER)) * av.time_base)
            self._container.seek(microseconds)
            packets = self._file.packets(self._container, self.stream)
            first = next(packet for packet in packets if _time(packet) >= aim)
            found = _time(first) <= latest
        except (av.FFmpegError, StopIteration, OverflowError):
            found = False
        if found:
            self._frames = self._decode(chain([first], packets))
        else:
            self._can_jump = False
            self.close()
            self._open()

    def _decode(self, packets: Iterator[Any]) -> Iterator[Any]:
        for packet in self._unbroken(packets):
            yield from self._decoded(packet)
        yield from self._decoded(None)  # what the decoder still holds

    def _unbroken(self, packets: Iterator[Any]) -> Iterator[Any]:
        import av

        try:
            yield from packets
        except av.FFmpegError:
            self.damaged = True

    def _decoded(self, packet: Any) -> Iterator[Any]:
        import av

        try:
            yield from self.stream.decode(packet)
        except av.FFmpegError:
            self.damaged = True


def _time(packet: Any) -> float:
    """In ticks; before everything if unknown."""
    time = packet.pts if packet.pts is not None else packet.dts
    return float("-inf") if time is None else time
