"""The decoded frames of a video at given times, with jumps to key frames that are verified."""

from typing import Any

import numpy as np

from avhash_nas.extraction.media_file import MediaFile
from avhash_nas.extraction.timeline import Timeline
from avhash_nas.extraction.track import Track

_TRIES = 4
"""Key frames tried, one after the other backward, before a file is read frame by frame."""

_CHECKED = 64
"""Frames decoded to learn whether doubtful timestamps are in the order of frames."""

Found = tuple[int, Any]
"""Time of a frame in ticks, and the frame."""


class OutOfOrderError(Exception):
    """Timestamps contradict the order in which the decoder gives the frames: use `Timeline.in_order`."""


class FrameFinder:
    """Decodes forward, and jumps to the last key frame before a requested frame if that lies ahead.

    The first frame is always decoded: only it may state how the pictures are turned.

    Args:
        file: The file.
        timeline: Times of its frames.

    Attributes:
        track: The decoded track.
        first: The first frame; None if none can be decoded.

    Raises:
        OutOfOrderError: The timeline is by timestamps, and they contradict the order of the frames.
    """

    def __init__(self, file: MediaFile, timeline: Timeline) -> None:
        order = (int(timeline.shown[0]), timeline.gap) if timeline.by_order else None
        self._keys = timeline.keys
        self._here = int(timeline.shown[0])
        self._before: Found | None = None
        self._after: Found | None = None
        self.track = Track(file, file.pictures, order, timeline.shifts)
        try:
            if timeline.doubtful:
                self._check_order()
            first = self._step()
        except BaseException:
            self.track.close()
            raise
        self.first = None if first is None else first[1]

    def at(self, time: int) -> Any:
        """The frame of a time not earlier than the last one asked for, or the nearest that can be decoded.

        Returns:
            None if nothing can be decoded.

        Raises:
            OutOfOrderError: As above.
        """
        if self._key(time) > self._here:
            self._jump(time)
        while (self._after is None or self._after[0] < time) and self._step():
            pass
        candidates = [each for each in (self._before, self._after) if each is not None]
        return min(candidates, key=lambda each: abs(each[0] - time))[1] if candidates else None

    def _key(self, time: int) -> int:
        """Time of the last key frame up to a time."""
        return int(self._keys[max(int(np.searchsorted(self._keys, time, side="right")) - 1, 0)])

    def _step(self) -> Found | None:
        """Decodes one frame more."""
        following = self.track.next()
        if self.track.contradicts_order:
            raise OutOfOrderError
        if following is not None:
            self._before, self._after = self._after, following
            self._here = following[0]
        return following

    def _jump(self, time: int) -> None:
        """Continues with a key frame up to a time, or with the first frame."""
        for _ in range(_TRIES):
            key = self._key(time)
            if not self.track.can_jump:
                return
            if key == self._keys[0]:
                break
            found = self.track.jump_to_key(key)
            self._before, self._after = None, found
            if found is not None:
                self._here = found[0]
                return
            self._keys = self._keys[self._keys != key]
        else:
            self.track.can_jump = False
        self.track.rewind()

    def _check_order(self) -> None:
        for _ in range(_CHECKED):
            if not self._step():
                break
        self.track.rewind()
        self._before = self._after = None
