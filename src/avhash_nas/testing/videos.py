"""The dataset of the conformance checks: two classes that differ in the order of two events alone."""

import atexit
import tempfile
from functools import cache
from pathlib import Path

import h5py
import numpy as np

from avhash_nas.data import ClassBalanced, HashingData

FRAMES, VISUAL_DIM, AUDIO_DIM = 8, 4, 2
_VIDEOS = {"train": 96, "val": 16, "test": 16}


def tiny_data(*, other_test: bool = False, seed: int = 0) -> HashingData:
    """The dataset, opened, in batches of 16 videos: 96 to train on, 16 each in val and test.

    In each half of a video the visual features show two events in neighboring time steps, the one class in one order,
    the other in the other; the audio features are empty. What treats time steps alike, and takes the mean over them,
    cannot tell the classes apart.

    Args:
        other_test: The same with other videos in test, half of them of the other class.
        seed: Of the sampling.
    """
    folder = _folder()
    root = folder / ("other" if other_test else "videos")
    if not root.exists():
        _write(root, other_test)
    sampling = ClassBalanced(classes=2, videos=8)
    return HashingData(root, cache_dir=folder / "cache", sampling=sampling, seed=seed).prepare()


@cache
def _folder() -> Path:
    """A folder that lasts as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="avhash-nas-testing-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _write(root: Path, other_test: bool) -> None:
    root.mkdir()
    with h5py.File(root / "image.h5", "w") as image, h5py.File(root / "audio.h5", "w") as audio:
        for number, (split, videos) in enumerate(_VIDEOS.items()):
            other = other_test and split == "test"
            random = np.random.Generator(np.random.Philox(100 * other + number))
            labels = np.arange(videos) // (2 if other else 1) % 2
            for row, label in enumerate(labels.tolist()):
                image[f"{split}{row:03d}/vectors"] = order_in_time(label, random)
                audio[f"{split}{row:03d}/vectors"] = np.zeros((FRAMES, AUDIO_DIM), np.float32)
            lines = [f"{split}{row:03d},{label}\n" for row, label in enumerate(labels.tolist())]
            (root / f"{split}.txt").write_text("".join(lines), encoding="utf-8")


def order_in_time(label: int, random: np.random.Generator) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Features of one video, (T, dim)."""
    vectors = 0.5 * random.standard_normal((FRAMES, VISUAL_DIM))
    half = FRAMES // 2
    for start in (0, half):
        first = start + int(random.integers(half - 1))
        vectors[first, label] += 3
        vectors[first + 1, 1 - label] += 3
    return vectors.astype(np.float32)
