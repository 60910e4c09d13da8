"""The frames of a video at chosen times: only what leads to them is decoded, and only they are kept."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from avhash_nas.extraction.conversion import Conversion, Picture
from avhash_nas.extraction.media_file import MediaFile
from avhash_nas.extraction.timeline import Ticks, Timeline
from avhash_nas.extraction.track import Track


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
