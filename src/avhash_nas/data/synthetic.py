"""A labeled synthetic dataset in the published layout."""

import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import yaml
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError

_NAMES = frozenset({"image.h5", "audio.h5", "train.txt", "val.txt", "test.txt", "dataset.yaml"})
_NUISANCE = 6  # class-independent directions of large variance in each modality


class _Modality(NamedTuple):
    """Signal of one modality: unit directions, and strength."""

    concepts: NDArray[np.float64]  # (concepts, 2, dim): the direction of the first and of the second half of the event
    nuisance: NDArray[np.float64]  # (directions, dim)
    strength: float


def write_synthetic(
    out: str | Path,
    *,
    classes: int = 10,
    train: int = 40,
    val: int = 15,
    test: int = 15,
    visual_dim: int = 48,
    audio_dim: int = 32,
    frames: int = 25,
    seed: int = 0,
    noise: float = 1.2,
    overwrite: bool = False,
) -> Path:
    """Writes a labeled synthetic dataset, bit-identical for the same arguments.

    The generative model: a class is a visual concept and an audio concept. Classes form pairs (0, 1), (2, 3), ...
    Pairs 0, 3, 6, ... share the visual concept and differ in the audio concept. The others share the audio concept and
    differ in the visual one: pairs 1, 4, ... in its directions, pairs 2, 5, ... only in their order. So neither
    modality suffices, the visual one is more informative, and a mean over time cannot separate every pair.

    A concept appears in an event of about half of the time steps, at a random position that both modalities share: one
    direction in the first half of the event, another in the second half. With s = 3 (visual) or 2 (audio), a gain g
    drawn for each video around 1, and unit directions u drawn once for the dataset,

        x_t = s * g * u_concept(t) + sum_k z_k * v_k + noise * e_t,

    where the six z_k, of standard deviation 0.6, are drawn once for a video. The directions v_k carry no class
    information, vary most from video to video and distort distances between raw features; e_t is standard normal.

    Args:
        out: Output folder, written atomically: image.h5, audio.h5, the three lists and dataset.yaml.
        classes: C, at least 2.
        train: Training videos per class, at least 1.
        val: Validation videos per class, at least 1.
        test: Test videos per class, at least 1.
        visual_dim: Dimensions of the visual features.
        audio_dim: Dimensions of the audio features.
        frames: T, time steps of a video.
        seed: Seed of all random numbers.
        noise: Standard deviation of the noise of each value.
        overwrite: Replace an earlier synthetic dataset in the folder.

    Returns:
        The folder.

    Raises:
        AvnasError: A number is out of range, or the folder holds other files.
    """
    least = {"classes": (classes, 2), "train": (train, 1), "val": (val, 1), "test": (test, 1), "frames": (frames, 1)}
    least |= {"visual_dim": (visual_dim, 1), "audio_dim": (audio_dim, 1), "seed": (seed, 0)}
    check_least(least)
    if not noise >= 0:
        raise AvnasError(f"noise={noise} must be at least 0")
    out = Path(out)
    check_replaceable(out, overwrite)
    random = np.random.Generator(np.random.Philox(seed))
    labels = np.repeat(np.arange(classes), train + val + test)
    visual, audio = _concepts(classes)
    event = _events(len(labels), frames, random)
    features = {
        "image.h5": _features(_modality(visual_dim, visual, 3.0, random), labels, event, noise, random),
        "audio.h5": _features(_modality(audio_dim, audio, 2.0, random), labels, event, noise, random),
    }
    splits = np.tile(np.repeat(np.array(["train", "val", "test"]), [train, val, test]), classes)
    order = random.permutation(len(labels))  # the lists are not sorted by class
    write_folder(out, lambda folder: _write(folder, features, labels, splits, order))
    return out


def check_least(least: Mapping[str, tuple[int, int]]) -> None:
    """Checks that numbers are not too small.

    Args:
        least: Value and smallest allowed value, by the name of the argument.

    Raises:
        AvnasError: One is.
    """
    for name, (value, minimum) in least.items():
        if value < minimum:
            raise AvnasError(f"{name}={value} must be at least {minimum}")


def write_folder(out: Path, write: Callable[[Path], None]) -> None:
    """Writes a folder whole, in place of the one that is there.

    Args:
        out: The folder.
        write: Fills an empty folder.

    Raises:
        AvnasError: It cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            temporary = Path(folder) / out.name
            temporary.mkdir()
            write(temporary)
            if out.exists():
                shutil.rmtree(out)
            temporary.replace(out)
    except OSError as error:
        raise AvnasError(f"{error.filename or out}: cannot be written: {error.strerror}") from error


def check_replaceable(out: Path, overwrite: bool, names: Collection[str] = _NAMES) -> None:
    """Refuses a folder that a synthetic dataset must not replace.

    Args:
        out: The folder.
        overwrite: Allow a folder that holds nothing but an earlier synthetic dataset.
        names: What such a dataset consists of.

    Raises:
        AvnasError: The folder holds something else.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise AvnasError(f"{out}: exists and is not a folder")
    entries = {entry.name for entry in out.iterdir()}
    if entries and not overwrite:
        raise AvnasError(f"{out}: the folder is not empty; name another, or replace its dataset with overwrite")
    if foreign := sorted(entries - set(names)):
        raise AvnasError(f"{out}: the folder holds {foreign[0]}, which is not part of a synthetic dataset")


def _concepts(classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Visual and audio concept of each class: indices of the directions of the event's halves, (C, 2) each."""
    visual, audio = np.empty((classes, 2), np.int64), np.empty((classes, 2), np.int64)
    for label in range(classes):
        pair, second = divmod(label, 2)
        first_of_pair = np.array([4 * pair, 4 * pair + 1])
        own = first_of_pair + 2 * second
        visual[label] = (first_of_pair, own, first_of_pair[:: -1 if second else 1])[pair % 3]
        audio[label] = own if pair % 3 == 0 else first_of_pair
    return visual, audio


def _modality(dim: int, concepts: NDArray[np.int64], strength: float, random: np.random.Generator) -> _Modality:
    directions = random.standard_normal((int(concepts.max()) + 1 + _NUISANCE, dim))
    directions /= np.sqrt((directions**2).sum(1, keepdims=True))
    return _Modality(directions[_NUISANCE:][concepts], directions[:_NUISANCE], strength)


def _events(videos: int, frames: int, random: np.random.Generator) -> NDArray[np.int64]:
    """State of each time step, (V, T): 0 no event, 1 its first half, 2 its second half."""
    half = max(1, round(frames / 4))
    start = random.integers(0, max(1, frames - 2 * half + 1), (videos, 1))
    since = np.arange(frames) - start
    return np.where((since >= 0) & (since < half), 1, 0) + np.where((since >= half) & (since < 2 * half), 2, 0)


def _features(
    modality: _Modality, labels: NDArray[np.int64], event: NDArray[np.int64], noise: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Features of all videos, (V, T, dim). No matrix products: their last bits depend on the BLAS library."""
    values = noise * random.standard_normal((*event.shape, modality.nuisance.shape[1]))
    for direction in modality.nuisance:
        values += 0.6 * random.standard_normal((len(labels), 1, 1)) * direction
    gain = modality.strength * random.uniform(0.7, 1.3, (len(labels), 1, 1))
    for half in (0, 1):
        active = (event == half + 1)[:, :, None]
        values += active * gain * modality.concepts[labels, half][:, None, :]
    return values.astype(np.float32)


def write_features(folder: Path, features: dict[str, NDArray[np.float32]], names: list[str]) -> None:
    """Writes each file of features, (V, T, dim), with one group for each name."""
    for file, values in features.items():
        with h5py.File(folder / file, "w") as archive:
            for name, vectors in zip(names, values, strict=True):
                archive.create_group(name)["vectors"] = vectors


def _write(
    folder: Path,
    features: dict[str, NDArray[np.float32]],
    labels: NDArray[np.int64],
    splits: NDArray[np.str_],
    order: NDArray[np.int64],
) -> None:
    names = [f"video{row:06d}" for row in range(len(labels))]
    write_features(folder, features, names)
    for split in ("train", "val", "test"):
        lines = [f"{names[row]},{labels[row]}\n" for row in order if splits[row] == split]
        (folder / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
    description = {
        "files": {"visual": "image.h5", "audio": "audio.h5"},
        "lists": {split: f"{split}.txt" for split in ("train", "val", "test")},
        "line": "id,label...",
        "label_base": 0,
        "classes": int(labels.max()) + 1,
        "database": "train",
        "frames": int(next(iter(features.values())).shape[1]),
    }
    (folder / "dataset.yaml").write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")
