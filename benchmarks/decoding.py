"""Reading 25 frames and 25 segments of a video: with jumps to what is needed, decoding everything, and beside decord.

python benchmarks/decoding.py --help

H.264 and AAC in mp4, 320 x 240 at 25 frames a second, a texture that moves over the picture, made in a temporary
folder; one decoder thread.

decord 0.6 and decord2 have the same module name, so each needs an environment of its own; `--rivals` names their
interpreters. They read the same 25 frames, without sound, by their numbers.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
from numpy.typing import NDArray

from avhash_nas.extraction import read_clip
from avhash_nas.extraction.frames import read_frames
from avhash_nas.extraction.media_file import Limits, MediaFile
from avhash_nas.extraction.timeline import read_timeline
from avhash_nas.extraction.track import Track
from measuring import parse, write_json

WIDTH, HEIGHT, FPS, RATE = 320, 240, 25, 48000
STEPS = 25

RIVAL = """
import json, sys, time
import numpy as np
from decord import VideoReader, __version__
path, steps, repeats, frames = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
taken = []
for _ in range(repeats + 1):
    start = time.process_time()
    reader = VideoReader(path, num_threads=1)
    numbers = [int((step + 0.5) / steps * len(reader)) for step in range(steps)]
    pictures = reader.get_batch(numbers).asnumpy()
    taken.append(time.process_time() - start)
np.save(frames, pictures)
print(json.dumps({"name": "decord " + __version__, "seconds": taken[1:]}))
"""


def main() -> None:
    """Make videos, measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 600], help="durations of the videos")
    parser.add_argument("--keys", type=int, nargs="+", default=[25, 250], help="frames from key frame to key frame")
    parser.add_argument("--repeats", type=int, default=5, help="the median of so many is told")
    parser.add_argument("--rivals", nargs="*", default=[], help="interpreters with decord or decord2")
    options = parse(parser, seconds=[10, 60], repeats=3)
    rows, beside = [], []
    print("| video | key frame every | everything | jumps | ratio | packets, of the jumps |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for seconds in options.seconds:
            for keys in options.keys:
                path = make(Path(folder) / "video.mp4", seconds, keys)
                taken = measured(path, options.repeats)
                rows.append({"video_seconds": seconds, "key_frame_every_seconds": keys / FPS, **taken})
                print(line(rows[-1]), flush=True)
                beside += [{"video": rows[-1], **each} for each in rivals(path, options.rivals, options.repeats)]
    for each in beside:
        video, ratio = each["video"], each["seconds"] / each["ours_seconds"]
        print(
            f"{video['video_seconds']:g} s, key frame every {video['key_frame_every_seconds']:g} s: {each['name']} "
            f"{each['seconds']:.3f} s, ours {each['ours_seconds']:.3f} s, ratio {ratio:.2f}; "
            f"mean difference of pixels {each['difference']:.2f}"
        )
    write_json("decoding", {"jumps": rows, "rivals": beside} if beside else rows, options)


def rivals(path: Path, interpreters: list[str], repeats: int) -> list[dict[str, Any]]:
    """Median seconds of rivals and of this library for the same frames, in turns, and how far the frames differ."""
    found = []
    for interpreter in interpreters:
        theirs: list[float] = []
        ours: list[float] = []
        frames = path.with_suffix(".npy")
        for _ in range(repeats):
            arguments = [interpreter, "-c", RIVAL, str(path), str(STEPS), "1", str(frames)]
            answer = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
            theirs += answer["seconds"]
            read_frames(MediaFile(path, Limits()), STEPS, HEIGHT)
            ours.append(seconds_of(lambda: read_frames(MediaFile(path, Limits()), STEPS, HEIGHT)))
        pictures, _, _ = read_frames(MediaFile(path, Limits()), STEPS, HEIGHT)
        difference = float(np.abs(pictures.astype(int) - np.load(frames)).mean())
        seconds = {"seconds": statistics.median(theirs), "ours_seconds": statistics.median(ours)}
        found.append({"name": answer["name"], "difference": difference, **seconds})
    return found


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
