"""Decoding of video files in the sandbox: the clip of a query, and thumbnails."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import Clip, Extraction, Limits, MediaError, Tracks, read_clip
from avhash_nas.extraction.frames import read_frames
from avhash_nas.extraction.media_file import MediaFile
from avhash_nas.serving.sandbox import Sandbox
from avhash_nas.serving.schemas import ServiceLimits


def query_clip(sandbox: Sandbox, path: str, extraction: Extraction, limits: ServiceLimits) -> Clip:
    """Decodes the clip of a video file in the sandbox, as an extraction does.

    Raises:
        SandboxError: The file cannot be decoded within the limits.
    """
    result = sandbox.run(_clip, path, extraction.steps, extraction.audio.rate, extraction.tracks, _media_limits(limits))
    frames, segments = result.buffers
    return Clip(
        frames=np.frombuffer(bytearray(frames), np.uint8).reshape(result.header["frames"]),
        segments=np.frombuffer(bytearray(segments), np.float32).reshape(result.header["segments"]),
        seconds=float(result.header["seconds"]),
        notes=tuple(result.header["notes"]),
    )


def thumbnail(sandbox: Sandbox, path: str, side: int, limits: ServiceLimits, step: int = 0, of: int = 1) -> bytes:
    """A frame of a video file as a JPEG with a shorter side of at most `side` pixels.

    By default the middle one; otherwise the one that an extraction of `of` time steps takes for time step `step`.

    Raises:
        SandboxError: The file cannot be decoded within the limits.
    """
    return sandbox.run(_thumbnail, path, side, _media_limits(limits), step, of).buffers[0]


def _media_limits(limits: ServiceLimits) -> Limits:
    return Limits(pixels=limits.pixels, seconds=limits.video_seconds, time=limits.decode_seconds)


@contextmanager
def _without_path() -> Iterator[None]:
    """Hides the path of the file, which is internal to the service, from errors."""
    try:
        yield
    except MediaError as error:
        raise AvnasError(error.reason) from error


def _clip(path: str, steps: int, rate: int, tracks: Tracks, limits: Limits) -> tuple[dict[str, Any], Sequence[Any]]:
    with _without_path():
        clip = read_clip(path, steps=steps, rate=rate, limits=limits, tracks=tracks)
    header = {
        "frames": clip.frames.shape,
        "segments": clip.segments.shape,
        "seconds": clip.seconds,
        "notes": clip.notes,
    }
    return header, [np.ascontiguousarray(part).data.cast("B") for part in (clip.frames, clip.segments)]


def _thumbnail(path: str, side: int, limits: Limits, step: int, of: int) -> tuple[dict[str, Any], Sequence[Any]]:
    from PIL import Image

    with _without_path():
        frames, _, _ = read_frames(MediaFile(path, limits), of, side)
    jpeg = io.BytesIO()
    Image.fromarray(frames[step]).save(jpeg, "JPEG", quality=80)
    return {}, [jpeg.getbuffer()]
