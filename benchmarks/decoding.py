"""Reading 25 frames and 25 segments of a video: with jumps to what is needed, and decoding everything.

python benchmarks/decoding.py --help

H.264 and AAC in mp4, 320 x 240 at 25 frames a second, a texture that moves over the picture, made in a temporary
folder; one decoder thread.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import av
import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction import read_clip
from avhash_nas.extraction.media_file import Limits, MediaFile
from avhash_nas.extraction.timeline import read_timeline
from avhash_nas.extraction.track import Track
from measuring import parse, write_json

WIDTH, HEIGHT, FPS, RATE = 320, 240, 25, 48000


def main() -> None:
    """Make videos, measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 600], help="durations of the videos")
    parser.add_argument("--keys", type=int, nargs="+", default=[25, 250], help="frames from key frame to key frame")
    parser.add_argument("--repeats", type=int, default=5, help="the median of so many is told")
    options = parse(parser, seconds=[10, 60], repeats=3)
    rows = []
    print("| video | key frame every | everything | jumps | ratio | packets, of the jumps |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for seconds in options.seconds:
            for keys in options.keys:
                path = make(Path(folder) / "video.mp4", seconds, keys)
                taken = measured(path, options.repeats)
                rows.append({"video_seconds": seconds, "key_frame_every_seconds": keys / FPS, **taken})
                print(line(rows[-1]), flush=True)
    write_json("decoding", rows, options)


def measured(path: Path, repeats: int) -> dict[str, float]:
    """Median seconds of the three, measured in turns, so that a busy machine slows all of them."""
    taken: list[list[float]] = [[], [], []]
    for _ in range(repeats + 1):
        with mock.patch.object(Track, "jump"):
            taken[0].append(seconds_of(lambda: read_clip(path)))
        taken[1].append(seconds_of(lambda: read_clip(path)))
        taken[2].append(seconds_of(lambda: read_timeline(MediaFile(path, Limits()))))
    everything, jumps, packets = (statistics.median(times[1:]) for times in taken)
    return {"everything_seconds": everything, "jumps_seconds": jumps, "packets_seconds": packets}


def line(row: dict[str, float]) -> str:
    """A line of the table."""
    everything, jumps, packets = (row[f"{name}_seconds"] for name in ("everything", "jumps", "packets"))
    name = f"{row['video_seconds']:g} s | {row['key_frame_every_seconds']:g} s"
    return f"| {name} | {everything:.2f} s | {jumps:.2f} s | {everything / jumps:.1f} | {packets / jumps:.0%} |"


def seconds_of(work: Callable[[], object]) -> float:
    """CPU time, which other processes disturb less than the clock."""
    start = time.process_time()
    work()
    return time.process_time() - start


def make(path: Path, seconds: float, keys: int) -> Path:
    """Encode a texture that moves by two pixels a frame, with noise for sound."""
    random = np.random.default_rng(0)
    texture: NDArray[np.uint8] = np.kron(random.integers(0, 256, (60, 80, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    noise = random.integers(-8000, 8000, (1, RATE // FPS), dtype=np.int16)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"g": str(keys), "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for i in range(round(seconds * FPS)):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(texture, 2 * i, 1)), "rgb24")
            sound = av.AudioFrame.from_ndarray(noise, "s16", "mono")
            sound.sample_rate, sound.pts = RATE, i * noise.shape[1]
            container.mux(video.encode(picture))
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


if __name__ == "__main__":
    main()
