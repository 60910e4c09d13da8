"""Forward decoding of one stream of a file, with seeks ahead."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

from avhash_nas.extraction.clock import UNKNOWN, Ticks
from avhash_nas.extraction.media_file import MediaFile

_SEEK_MARGIN = 0.5
"""Seconds before the target of a seek: some containers seek by decoding times, which run ahead."""

_CONTRADICTIONS, _CONTRADICTING = 3, 0.1
"""So many frames with an earlier time than the one before, and this share of all, are not caused by damage."""


class Track:
    """Decoded frames of one stream.

    Args:
        file: The file.
        choose: Selects the stream of an open container.
        order: Time of the first frame and distance of the others without a time, if frames take their times from their
            order; None if from their timestamps.
        shifts: Ticks to add to the times of each packet, for a file whose clock breaks; then seeks do nothing.

    Attributes:
        stream: The stream.
        damaged: Whether anything could not be decoded so far.
        can_jump: Whether jumps are made; clear it to read on frame by frame.
    """

    def __init__(
        self,
        file: MediaFile,
        choose: Callable[[Any], Any],
        order: tuple[int, int] | None = None,
        shifts: Ticks | None = None,
    ) -> None:
        self.damaged = False
        self._file, self._choose, self._order, self._shifts = file, choose, order, shifts
        self.can_jump = order is None and shifts is None
        self._decoded = self._contradictions = 0
        self._open()

    def _open(self) -> None:
        self._container = self._file.open()
        self.stream = self._choose(self._container)
        self._last: int | None = None
        self._first_clock: int | None = None
        self._frames = self._decode(self._shifted(self._file.packets(self._container, self.stream)))

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def rewind(self) -> None:
        """Continues with the first frame."""
        self.close()
        self._open()

    def next(self) -> tuple[int, Any] | None:
        """Time of the next frame in ticks of the stream, and the frame; None after the last one.

        Raises:
            MediaError: The time limit is exceeded.
        """
        for frame in self._frames:
            time = self._time_stated(frame) if self._order is None else self._time_by_order(frame, *self._order)
            if time is not None:
                self._last = time
                return time, frame
        return None

    def _time_stated(self, frame: Any) -> int | None:
        time: int | None = frame.pts
        if time is None and frame.dts is not None and self._last is not None and frame.dts > self._last:
            time = frame.dts
        if time is not None and self._last is not None:
            self._decoded += 1
            self._contradictions += time < self._last
        return time

    def _time_by_order(self, frame: Any, first: int, gap: int) -> int:
        """By the clock of decoding, which ascends with the order of frames; else a frame's distance from the former."""
        if self._last is None:
            self._first_clock = frame.dts
            return first
        clock = None if None in (frame.dts, self._first_clock) else frame.dts - self._first_clock + first
        return clock if clock is not None and clock > self._last else self._last + gap

    @property
    def contradicts_order(self) -> bool:
        """Whether timestamps contradict the order in which the decoder gives the frames."""
        return self._contradictions >= max(_CONTRADICTIONS, _CONTRADICTING * self._decoded)

    def jump(self, target: int, latest: int) -> bool:
        """Continues with the first packet at ``target`` or later.

        If the container cannot seek to it, the track is read from its start, now and after later jumps.

        Args:
            target: In ticks of the stream.
            latest: If the first packet is later than this, the container has skipped too far.

        Returns:
            Whether the next frame is one of that packet or of a later one.
        """
        import av

        if not self.can_jump:
            return False
        try:
            microseconds = int((target * self.stream.time_base - Fraction(_SEEK_MARGIN)) * av.time_base)
            self._container.seek(microseconds)
            packets = self._file.packets(self._container, self.stream)
            first = next(packet for packet in packets if _time(packet) >= target)
            success = _time(first) <= latest
        except (av.FFmpegError, StopIteration, OverflowError):
            success = False
        if success:
            self._last = None
            self._frames = self._decode(chain([first], packets))
        else:
            self.can_jump = False
            self.rewind()
        return success

    def jump_to_key(self, time: int) -> tuple[int, Any] | None:
        """Jumps to the key frame of a time, and decodes it.

        Some containers flag packets that are no key frames, and some streams recover only gradually: what a decoder
        makes of them lacks its references. So the frame must be the one of that time, and a key frame by the decoder.

        Returns:
            The time and the frame, or None: it is no key frame, and the track is at an undefined place.
        """
        damaged = self.damaged
        if not self.jump(time, time):
            return None
        following = self.next()
        while following is not None and following[0] < time:  # open groups: frames that refer to the group before
            following = self.next()
        if following is None or following[0] != time or not following[1].key_frame or following[1].is_corrupt:
            self.damaged = damaged
            return None
        return following

    def _shifted(self, packets: Iterator[Any]) -> Iterator[Any]:
        if self._shifts is None:
            yield from packets
            return
        for packet, shift in zip(packets, self._shifts.tolist(), strict=False):
            for name in ("pts", "dts"):
                time = getattr(packet, name)
                setattr(packet, name, None if time is None or shift == UNKNOWN else time + shift)
            yield packet

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
