"""Builds short labeled mp4 files from Debian's package tuxpaint-stamps-default: its pictures move, with their sounds.

python experiments/stamps/videos/make_videos.py tuxpaint-stamps-default_2022.06.04-1_all.deb OUT

Writes OUT/videos/CLASS/PICTURE-N.mp4 and OUT/labels.csv, which `avnas extract --labels` takes. A picture's videos
differ in movement, background, mirroring, size and frame rate, and in their sound: what the thing itself sounds like,
where the package has that, else a voice that names it in one of several languages. Splits are disjoint by picture. The
same seed gives the same videos; a build that was stopped goes on where it was.
"""

import argparse
import csv
import math
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.progress import Progress
from avhash_nas.extraction.workers import Work, Workers
from avhash_nas.files import read_json, write_json, write_whole

sys.path.append(str(Path(__file__).resolve().parents[2]))
import debian_media

ROOT = PurePosixPath("usr/share/tuxpaint/stamps")
CLASSES = {
    "bird": "animals/birds",
    "chess piece": "symbols/chess",
    "coin or currency": "symbols/money",
    "finger sign": "symbols/alphabets/asl",
    "flower": "plants/flowers",
    "fruit": "food/fruit",
    "house": "town/houses",
    "instrument": "hobbies/music",
    "letter": "symbols/alphabets/english",
    "mammal": "animals/mammals",
    "road sign": "town/roadsigns",
    "vegetable": "food/vegetables",
}
PICTURES = 24
"""At most so many of each class."""
VIDEOS = 2
"""Of each picture."""
SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}
SIZES = ((160, 120), (192, 144), (240, 180), (120, 160))
FRAME_RATES = (10, 12)
SOUND_RATE = 44100

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Stamp:
    """A picture of the package and its sounds, the thing's own first."""

    label: str
    name: str
    picture: Path
    sounds: tuple[Path, ...]


@dataclass(frozen=True)
class Video:
    """A video to be made."""

    path: str
    stamp: Stamp
    sound: Path
    split: str
    seed: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the videos; the exit code is 0, or 2 for bad input, or 130 when stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the package's .deb file")
    parser.add_argument("out", type=Path, help="folder for the videos")
    parser.add_argument("--seed", type=int, default=0, help="other pictures, splits, movements (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    options = parser.parse_args(arguments)
    try:
        build(options.package, options.out, options.seed, options.workers)
    except AvnasError as error:
        print(f"make_videos: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def build(package: Path, out: Path, seed: int, workers: int) -> None:
    """Unpack, plan, and make what is missing."""
    remember(out, {"seed": seed, "package": package.name})
    unpacked, folder = out / "package", out / "videos"
    if not (unpacked / "complete").exists():
        print(f"unpacking {package}", file=sys.stderr, flush=True)
        unpack(package, unpacked)
        (unpacked / "complete").touch()
    videos = plan(find_stamps(unpacked), seed)
    missing = [(video, folder / video.path) for video in videos if not (folder / video.path).exists()]
    with Progress(len(videos), len(videos) - len(missing)) as progress, Workers(Making(), workers) as processes:
        for (video, _), problem in processes.results(missing):
            if problem:
                raise AvnasError(f"{video.path}: {problem}")
            progress.advance()
    write_labels(out / "labels.csv", videos)
    print(f"{len(videos)} videos of {len({video.stamp.picture for video in videos})} pictures in {folder}")


def remember(out: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder whose videos were made otherwise: a build must not mix two."""
    path = out / "settings.json"
    if not path.exists():
        write_json(path, settings)
    elif (former := read_json(path)) != settings:
        raise AvnasError(f"{out}: holds videos made with {former}, not {settings}; remove it or choose another folder")


def unpack(package: Path, out: Path) -> None:
    """Write the pictures and sounds of the classes."""
    folders = {PurePosixPath(folder) for folder in CLASSES.values()}
    kinds = (".png", ".ogg", ".wav")
    debian_media.unpack(package, out, ROOT, lambda name: name.suffix in kinds and not folders.isdisjoint(name.parents))


def find_stamps(folder: Path) -> list[Stamp]:
    """Pictures that have sounds: NAME.ogg is the thing's own, NAME_desc.ogg and NAME_desc_LANGUAGE.ogg name it."""
    stamps = []
    for label, below in CLASSES.items():
        for picture in sorted((folder / below).rglob("*.png")):
            voice = re.compile(re.escape(picture.stem) + r"_desc(_\w+)?")
            beside = sorted(path for path in picture.parent.iterdir() if path.suffix in (".ogg", ".wav"))
            own = [path for path in beside if path.stem == picture.stem]
            sounds = (*own, *(path for path in beside if voice.fullmatch(path.stem)))
            if sounds:
                name = "-".join(picture.relative_to(folder / below).with_suffix("").parts)
                stamps.append(Stamp(label, name, picture, sounds))
    return stamps


def plan(stamps: Sequence[Stamp], seed: int) -> list[Video]:
    """Which pictures are taken, their splits, and the sound of each video; all depends on the seed alone."""
    videos = []
    for label in sorted({stamp.label for stamp in stamps}):
        rng = random.Random(f"{seed} {label}")
        taken = sorted((stamp for stamp in stamps if stamp.label == label), key=lambda stamp: stamp.name)
        rng.shuffle(taken)
        taken = taken[:PICTURES]
        for i, stamp in enumerate(taken):
            split = split_of((i + 0.5) / len(taken))
            own = [path for path in stamp.sounds if path.stem == stamp.picture.stem]
            voices = [path for path in stamp.sounds if path not in own]
            rng.shuffle(voices)
            for n in range(VIDEOS):
                path = re.sub(r"[^\w.-]+", "-", label) + f"/{stamp.name}-{n}.mp4"
                sounds = own + voices
                videos.append(Video(path, stamp, sounds[n % len(sounds)], split, f"{seed} {path}"))
    return videos


def split_of(share: float) -> str:
    """The split of a picture that has this share of its class before it.

    >>> [split_of(share) for share in (0.1, 0.49, 0.6, 0.9)]
    ['train', 'train', 'val', 'test']
    """
    end = 0.0
    for split, width in SHARES.items():
        end += width
        if share < end:
            return split
    return split


class Making(Work):
    """What a process does with a video and its path."""

    def prepare(self) -> None:
        """Nothing."""

    def __call__(self, item: tuple[Video, Path]) -> None:
        """Make the file."""
        make_video(*item)


def make_video(video: Video, path: Path) -> None:
    """Write one mp4 file, whole or not at all."""
    rng = random.Random(video.seed)
    size, fps, seconds = rng.choice(SIZES), rng.choice(FRAME_RATES), rng.uniform(2.5, 3.0)
    frames = moving(Image.open(video.stamp.picture), size, round(seconds * fps), rng)
    samples = filled(debian_media.read_sound(video.sound, SOUND_RATE), round(seconds * SOUND_RATE))
    write_whole(path, lambda partial: debian_media.write_mp4(partial, frames, size, fps, samples, SOUND_RATE))


def moving(picture: Image.Image, size: tuple[int, int], count: int, rng: random.Random) -> Iterator[NDArray[np.uint8]]:
    """Frames (H, W, 3) of a picture that drifts, turns and grows or shrinks before a background.

    Args:
        picture: With or without transparency.
        size: Width and height of the frames.
        count: How many.
        rng: Chooses movement, mirroring and background.
    """
    picture = ImageOps.contain(picture.convert("RGBA"), size, Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        picture = ImageOps.mirror(picture)
    behind = background(size, rng)
    ways = [(rng.uniform(-reach, reach), rng.uniform(-reach, reach)) for reach in (0.1, 0.1, 0.3, 0.2)]
    for i in range(count):
        across, down, angle, zoom = (start + (end - start) * i / max(count - 1, 1) for start, end in ways)
        cosine, sine = math.cos(angle) / (1 + zoom), math.sin(angle) / (1 + zoom)
        x, y = (0.5 + across) * size[0], (0.5 + down) * size[1]
        into = (cosine, sine, picture.width / 2 - cosine * x - sine * y)
        into += (-sine, cosine, picture.height / 2 + sine * x - cosine * y)
        layer = picture.transform(size, Image.Transform.AFFINE, into, Image.Resampling.BILINEAR)
        yield np.asarray(Image.alpha_composite(behind, layer).convert("RGB"))


def background(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Soft clouds of muted color, opaque."""
    base = rng.uniform(70, 200)
    grid = [[[base + rng.uniform(-30, 30) for _ in range(3)] for _ in range(4)] for _ in range(3)]
    clouds = Image.fromarray(np.array(grid).round().astype(np.uint8))
    return clouds.resize(size, Image.Resampling.BICUBIC).convert("RGBA")


def filled(samples: Samples, count: int) -> Samples:
    """A sound at half of full scale and of a given length: cut, or again and again after a pause of 0.4 s."""
    loudest = float(np.abs(samples).max(initial=1e-3))
    once = np.concatenate([samples * (0.5 / loudest), np.zeros(round(0.4 * SOUND_RATE), np.float32)])
    return np.tile(once, -(-count // len(once)))[:count]


def write_labels(path: Path, videos: Sequence[Video]) -> None:
    """The file for `avnas extract --labels`."""

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("file", "labels", "split"))
            writer.writerows((video.path, video.stamp.label, video.split) for video in videos)

    write_whole(path, write)


if __name__ == "__main__":
    sys.exit(main())
