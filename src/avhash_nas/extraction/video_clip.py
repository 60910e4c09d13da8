"""A video file as T frames and T audio segments."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction.frames import read_frames
from avhash_nas.extraction.media_file import Limits, MediaFile, Tracks
from avhash_nas.extraction.sound import Segments, read_sound


@dataclass(frozen=True)
class Clip:
    """Decoded frames and audio segments of one video.

    Attributes:
        frames: T frames, RGB, upright, with square pixels, (T, H, W, 3).
        segments: T audio segments of S samples, mono, in [-1, 1], (T, S); zeros where there is no sound.
        seconds: Duration of the video track, or of sound that ends later.
        notes: What was met while reading: `no_audio`, no sound at all; `short`, fewer frames than T, so some are
            repeated; `held`, the sound is longer than the pictures and the last one is repeated; `early_sound`, more
            than half a second of sound lies before the first frame and is not used; `joined`, the clock of the file
            breaks, and its parts follow one after the other; `truncated`, the file ends early or holds less than its
            header states; `damaged`, something could not be decoded and is replaced by the nearest good frame or by
            silence; `video_track_N`, `audio_track_N`, which of several tracks was read, from 0.
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
    tracks: Tracks | None = None,
) -> Clip:
    """Reads T uniformly spaced frames and T equal audio segments (section 5.1 of the paper).

    The duration is that of the frames actually in the file, divided into T equal parts. A step gets the frame shown in
    the middle of its part and the sound of the part. So neither the very first frame, often black, nor a time behind
    the last frame is requested. Sound before the first frame is ignored; missing sound is zeros. Sound that ends more
    than half a second after the last frame counts: the last frame is shown meanwhile, as players do.

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
        tracks: Which of several video and audio tracks are read.

    Raises:
        MediaError: The file is not a video, nothing in it can be decoded, or it exceeds a limit.
        MissingExtraError: PyAV is not installed.
    """
    file = MediaFile(path, limits or Limits(), tracks)
    frames, timeline, damaged_frames = read_frames(file, steps, side)
    segments = Segments(timeline.seconds, steps, rate, longest_segment)
    any_sound, damaged_sound = read_sound(file, timeline.start, segments, rate, timeline.sound_shifts)
    notes = {
        "no_audio": not any_sound,
        "short": len(timeline.shown) < steps,
        "held": timeline.held,
        "early_sound": timeline.early_sound,
        "joined": timeline.shifts is not None,
        "truncated": not timeline.complete,
        "damaged": timeline.damaged or damaged_frames or damaged_sound,
    }
    applying = tuple(note for note, applies in notes.items() if applies)
    return Clip(frames, segments.samples, timeline.seconds, applying + timeline.tracks)
