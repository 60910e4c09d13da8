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
    """What is seen and heard of one video.

    Attributes:
        frames: T frames, RGB, upright, with square pixels, (T, H, W, 3).
        segments: T audio segments of S samples, mono, in [-1, 1], (T, S); zeros where there is no sound.
        seconds: Duration of the pictures.
        notes: What was met while reading: `no_audio`, no sound at all; `short`, fewer frames than T, so that frames
            come again; `truncated`, the file breaks off, or has less than its header promises; `damaged`, something
            could not be decoded: the nearest good frame stands in, or silence.
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
    """Read T uniformly spaced frames and T equal audio segments (section 5.1 of the paper).

    The duration is that of the pictures that are really there, cut into T equal parts. A step sees the frame that is
    on show in the middle of its part and hears the part: so first and last step are alike, and neither the black
    frame at the very start nor the end beyond the last frame is asked for. Sound before the first and behind the last
    frame is left out, and where it is missing there are zeros.

    What is kept does not grow with the video: T frames of bounded size and T segments of bounded length; of the video
    itself one group of pictures at a time goes through the decoder.

    Args:
        path: The file.
        steps: T.
        rate: Samples a second.
        side: Frames are scaled down to a short side of at most so many pixels (and a long side of at most four times
            that): the largest CLIP takes 336.
        longest_segment: Bound on a segment, in seconds; of a longer part the middle is heard. The default is what AST
            takes, so only videos of more than `10.24 T` seconds (T = 25: 256) lose sound to it.
        limits: Bounds for files that nobody vouches for.

    Raises:
        MediaError: The file is no video, nothing in it can be decoded, or it is beyond a limit.
        MissingExtraError: PyAV is not installed.
    """
    file = MediaFile(path, limits or Limits())
    timeline = read_timeline(file)
    frames, damaged_frames = read_pictures(file, timeline, timeline.chosen(steps), side)
    segments = Segments(timeline.seconds, steps, rate, longest_segment)
    heard, damaged_sound = read_sound(file, timeline.start, segments, rate)
    met = {
        "no_audio": not heard,
        "short": len(timeline.shown) < steps,
        "truncated": not timeline.whole,
        "damaged": timeline.damaged or damaged_frames or damaged_sound,
    }
    return Clip(frames, segments.samples, timeline.seconds, tuple(note for note, true in met.items() if true))
