"""A video file as T frames and T audio segments."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction.frames import read_pictures
from avhash_nas.extraction.media_file import Limits, MediaFile
from avhash_nas.extraction.sound import Segments, read_sound
from avhash_nas.extraction.timeline import read_timeline


@dataclass(frozen=True)
class Clip:
    """Decoded frames and audio segments of one video.

    Attributes:
        frames: T frames, RGB, upright, with square pixels, (T, H, W, 3).
        segments: T audio segments of S samples, mono, in [-1, 1], (T, S); zeros where there is no sound.
        seconds: Duration of the video track.
        notes: Problems met while reading: `no_audio`, no sound at all; `short`, fewer frames than T, so some are
            repeated; `truncated`, the file ends early or holds less than its header states; `damaged`, something could
            not be decoded and is replaced by the nearest good frame or by silence.
    """

    frames: NDArray[np.uint8]
    segments: NDArray[np.float32]
    seconds: float
    notes: tuple[str, ...] = ()


def read_clip(
    path: str | Path,
    steps: int = 25,
    rate: int = 16000,
    *,
    side: int = 512,
    longest_segment: float = 10.24,
    limits: Limits | None = None,
) -> Clip:
    """Reads T uniformly spaced frames and T equal audio segments (section 5.1 of the paper).

    The duration is that of the frames actually in the file, divided into T equal parts. A step gets the frame shown in
    the middle of its part and the sound of the part. So neither the very first frame, often black, nor a time behind
    the last frame is requested. Sound before the first and after the last frame is ignored; missing sound is zeros.

    Memory does not grow with the duration: T frames of bounded size, T segments of bounded length, and one group of
    pictures at a time in the decoder.

    Args:
        path: The file.
        steps: T.
        rate: Samples per second.
        side: Frames are scaled down to a short side of at most this many pixels, and a long side of at most four times
            as many. The largest CLIP takes 336.
        longest_segment: Maximum duration of a segment in seconds; of a longer part, the middle is used. The default is
            what AST takes, so only videos longer than `10.24 T` seconds (T = 25: 256) lose sound.
        limits: Bounds for untrusted files.

    Raises:
        MediaError: The file is not a video, nothing in it can be decoded, or it exceeds a limit.
        MissingExtraError: PyAV is not installed.
    """
    file = MediaFile(path, limits or Limits())
    timeline = read_timeline(file)
    frames, damaged_frames = read_pictures(file, timeline, timeline.frames_at_middles(steps), side)
    segments = Segments(timeline.seconds, steps, rate, longest_segment)
    any_sound, damaged_sound = read_sound(file, timeline.start, segments, rate)
    notes = {
        "no_audio": not any_sound,
        "short": len(timeline.shown) < steps,
        "truncated": not timeline.complete,
        "damaged": timeline.damaged or damaged_frames or damaged_sound,
    }
    return Clip(frames, segments.samples, timeline.seconds, tuple(note for note, applies in notes.items() if applies))
