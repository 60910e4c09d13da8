"""Forward decoding of one stream of a file, with seeks ahead."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

from avhash_nas.extraction.media_file import MediaFile

_SEEK_MARGIN = 0.5
"""Seconds before the target of a seek: some containers seek by decoding times, which run ahead."""


class Track:
    """Decoded frames of one stream.

    Args:
        file: The file.
        choose: Selects the stream of an open container.
        timed: Whether the file has timestamps; otherwise frames are counted from 0 and seeks do nothing.

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
        """Closes the file."""
        self._container.close()

    def next(self) -> tuple[int, Any] | None:
        """Time of the next frame in ticks of the stream, and the frame; None after the last one.

        Raises:
            MediaError: The time limit is exceeded.
        """
        for frame in self._frames:
            self._count += 1
            time = frame.pts if self._timed else self._count - 1
            if time is not None:
                return time, frame
        return None

    def jump(self, target: int, latest: int) -> None:
        """Continues with the first packet at ``target`` or later.

        If the container cannot seek to it, the track is read from its start, now and after later jumps.

        Args:
            target: In ticks of the stream.
            latest: If the first packet is later than this, the container has skipped too far.
        """
        import av

        if not self._can_jump:
            return
        try:
            microseconds = int((target * self.stream.time_base - Fraction(_SEEK_MARGIN)) * av.time_base)
            self._container.seek(microseconds)
            packets = self._file.packets(self._container, self.stream)
            first = next(packet for packet in packets if _time(packet) >= target)
            success = _time(first) <= latest
        except (av.FFmpegError, StopIteration, OverflowError):
            success = False
        if success:
            self._frames = self._decode(chain([first], packets))
        else:
            self._can_jump = False
            self.close()
            self._open()

    def _decode(self, packets: Iterator[Any]) -> Iterator[Any]:
        for packet in self._until_error(packets):
            yield from self._decode_packet(packet)
        yield from self._decode_packet(None)  # flush the decoder

    def _until_error(self, packets: Iterator[Any]) -> Iterator[Any]:
        import av

        try:
            yield from packets
        except av.FFmpegError:
            self.damaged = True

    def _decode_packet(self, packet: Any) -> Iterator[Any]:
        import av

        try:
            yield from self.stream.decode(packet)
        except av.FFmpegError:
            self.damaged = True


def _time(packet: Any) -> float:
    """In ticks; minus infinity if unknown."""
    time = packet.pts if packet.pts is not None else packet.dts
    return float("-inf") if time is None else time
