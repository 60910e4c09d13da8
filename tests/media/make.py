"""Real video files, encoded by PyAV, and ways to damage them."""

import colorsys
import heapq
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Picture = Callable[[float], NDArray[np.uint8]]
"""From a time in seconds to a picture, RGB or RGBA, (H, W, 3 or 4)."""

Sound = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From times in seconds (n,) to samples in [-1, 1], (n,) for all channels or (channels, n)."""

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def moving(size: tuple[int, int], hue: float, shape: str, seconds: float) -> Picture:
    """A colored shape that moves from left to right over gray.

    Args:
        size: Width and height.
        hue: Color, 0 to 1 round the circle of hues.
        shape: `disc`, `square` or `stripes`.
        seconds: Time for the whole way.
    """
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    radius = min(size) / 4

    def picture(time: float) -> NDArray[np.uint8]:
        x, y = columns - radius - (width - 2 * radius) * time / seconds, rows - height / 2
        inside = {
            "disc": x**2 + y**2 < radius**2,
            "square": np.maximum(abs(x), abs(y)) < radius,
            "stripes": (np.maximum(abs(x), abs(y)) < radius) & (np.floor(y / radius * 4) % 2 == 0),
        }[shape]
        color = np.array(colorsys.hsv_to_rgb(hue, 1.0, 1.0)) * 255
        return np.where(inside[..., None], color, 96).astype(np.uint8)

    return picture


def clock(size: tuple[int, int], seconds: float) -> Picture:
    """A gray picture whose brightness tells the time: `time_shown` reads it."""
    width, height = size
    return lambda time: np.full((height, width, 3), round(32 + 192 * time / seconds), np.uint8)


def time_shown(frames: NDArray[np.uint8], seconds: float) -> NDArray[np.float64]:
    """The times of frames (T, H, W, 3) of `clock`, (T,), within about 1 % of `seconds`."""
    return (frames.mean((1, 2, 3)) - 32) / 192 * seconds


def tone_of(frequency: float, loudness: float = 0.5) -> Sound:
    """A sine.

    Args:
        frequency: In Hz.
        loudness: Amplitude.
    """
    return lambda times: loudness * np.sin(2 * np.pi * frequency * times)


def make_video(
    path: Path,
    *,
    seconds: float = 2.0,
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    codec: str | None = "libx264",
    pixels: str = "yuv420p",
    audio: str | None = "aac",
    channels: int = 1,
    rate: int = 44100,
    hue: float = 0.0,
    shape: str = "disc",
    tone: float = 440.0,
    rotation: int = 0,
    variable_rate: bool = False,
    aspect: Fraction = Fraction(1),
    audio_start: float = 0.0,
    audio_seconds: float | None = None,
    picture: Picture | None = None,
    sound: Sound | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    container_format: str | None = None,
) -> Path:
    """Writes a video file.

    Args:
        path: The file; its suffix selects the container.
        seconds: Duration of the pictures.
        fps: Frames a second.
        size: Width and height as stored.
        codec: Video codec; None for a file without video.
        pixels: Pixel format.
        audio: Audio codec; None for a file without sound. `libopus` needs a rate of 48000.
        channels: 1, 2 or 6 (5.1).
        rate: Samples a second.
        hue: Of the moving shape.
        shape: See `moving`.
        tone: Of the sound, in Hz.
        rotation: Degrees counter-clockwise by which a player turns the frames (mp4, mov).
        variable_rate: A quarter of the frame rate in the second half of the time.
        aspect: Width to height of a pixel.
        audio_start: When the sound starts; before it the file has none.
        audio_seconds: Duration of the sound; that of the pictures by default.
        picture: Other pictures than the moving shape.
        sound: Another sound than the tone.
        options: Of the container, such as `{"movflags": "faststart"}`.
        codec_options: Of the video codec.
        container_format: The container, if not selected by the suffix.

    Returns:
        The path.
    """
    picture = picture or moving(size, hue, shape, seconds)
    sound = sound or tone_of(tone)
    audio_seconds = seconds if audio_seconds is None else audio_seconds
    with av.open(str(path), "w", options=options or {}, format=container_format) as container:
        parts = []
        if codec:
            stream: Any = container.add_stream(codec, rate=fps, options=codec_options or {})
            stream.width, stream.height, stream.pix_fmt = *size, pixels
            stream.codec_context.sample_aspect_ratio = aspect
            times = frame_times(seconds, fps, variable_rate)
            if variable_rate:
                stream.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                stream.set_display_rotation(rotation)
            parts.append(((time, 0, stream, frame) for time, frame in video_frames(times, picture, stream)))
        if audio:
            fast = {"aac_coder": "fast"} if audio == "aac" else {}  # a sixth of the time of the default
            heard: Any = container.add_stream(audio, rate=rate, layout=LAYOUTS[channels], options=fast)
            chunks = audio_frames(audio_start, audio_seconds, rate, channels, sound)
            parts.append(((time, 1, heard, frame) for time, frame in chunks))
        for _, _, stream, frame in heapq.merge(*parts, key=lambda part: part[:2]):
            container.mux(stream.encode(frame))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return path


def frame_times(seconds: float, fps: int, variable_rate: bool = False) -> list[float]:
    """When frames are shown."""
    times = [i / fps for i in range(round(seconds * fps))]
    return [time for i, time in enumerate(times) if not variable_rate or time < seconds / 2 or i % 4 == 0]


def video_frames(times: Sequence[float], picture: Picture, stream: Any) -> Iterator[tuple[float, av.VideoFrame]]:
    base = stream.codec_context.time_base or Fraction(1, 1000)
    for time in times:
        pixels = picture(time)
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24" if pixels.shape[2] == 3 else "rgba")
        frame.time_base, frame.pts = base, round(time / base)
        yield time, frame.reformat(format=stream.pix_fmt)


def audio_frames(
    start: float, seconds: float, rate: int, channels: int, sound: Sound
) -> Iterator[tuple[float, av.AudioFrame]]:
    """Tenths of a second of sound; its times count from the start of the file."""
    first, end, step = round(start * rate), round((start + seconds) * rate), rate // 10
    for i in range(first, end, step):
        samples = np.broadcast_to(sound(np.arange(i, min(i + step, end)) / rate), (channels, min(step, end - i)))
        packed = np.ascontiguousarray((samples.T * 32767).round().astype(np.int16).reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, "s16", LAYOUTS[channels])
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), i
        yield i / rate, frame


def cut(path: Path, share: float = 0.5) -> Path:
    """Keep the first bytes of a file. A plain mp4 has its index at the end; one written with `faststart` survives."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


def scribble(path: Path, start: float = 0.5, end: float = 1.0, seed: int = 0) -> Path:
    """Write noise over the bytes between two shares of a file."""
    data = bytearray(path.read_bytes())
    first, last = round(len(data) * start), round(len(data) * end)
    data[first:last] = np.random.default_rng(seed).bytes(last - first)
    path.write_bytes(bytes(data))
    return path


def patch(path: Path, mark: bytes, offset: int, value: bytes) -> Path:
    """Write over bytes `offset` behind the first occurrence of a mark, such as the name of an mp4 box."""
    data = bytearray(path.read_bytes())
    start = data.index(mark) + offset
    data[start : start + len(value)] = value
    path.write_bytes(bytes(data))
    return path


def claim_size(path: Path, width: int, height: int) -> Path:
    """Writes another size to the header of a GIF: a few bytes that request gigabytes."""
    return patch(path, b"GIF89a", 6, width.to_bytes(2, "little") + height.to_bytes(2, "little"))
