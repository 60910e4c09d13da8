"""A synthetic dataset with events, whose modalities need not agree."""

from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from avhash_nas.data.event_files import MODALITIES
from avhash_nas.data.synthetic import check_least, check_replaceable, write_features, write_folder
from avhash_nas.errors import AvnasError

_NAMES = frozenset({"image.h5", "audio.h5", "train.txt", "val.txt", "test.txt", "dataset.yaml", "events"})
_COUNTS = (0.45, 0.45, 0.1)
"""Shares of videos with one, two and three events, about those of LLP."""


def write_synthetic_events(
    out: str | Path,
    *,
    classes: int = 8,
    train: int = 400,
    val: int = 100,
    test: int = 100,
    visual_dim: int = 32,
    audio_dim: int = 24,
    frames: int = 10,
    unaligned: float = 0.6,
    flips: float = 0.0,
    noise: float = 0.6,
    text_noise: float = 0.05,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Writes a synthetic dataset for video parsing, bit-identical for the same arguments.

    A video holds one to three events of distinct classes. An aligned event is heard and seen during the same time
    steps. An unaligned one is, each with a third of the probability, heard only, seen only, or heard at one time and
    seen at another. Each class has a direction u of its own in each modality, of unit length, and

        x_t = 2 g sum_events u_class [the event is on at t] + noise e_t,

    with a gain g around 1 for each video and standard normal e_t. The weak label of a video is the union of what is
    heard and what is seen, so nothing in training says which it was, except pseudo labels: the truth, of which each
    entry is flipped with a set probability, cut to the weak label. The classes' text vectors are their directions with
    a little noise, as if text and features came from one model.

    Args:
        out: Output folder, written atomically: features, lists, dataset.yaml and the folder `events`.
        classes: C, at least 3.
        train: Training videos, at least 2.
        val: Validation videos, at least 1.
        test: Test videos, at least 1.
        visual_dim: Dimensions of the visual features.
        audio_dim: Dimensions of the audio features.
        frames: T, time steps of a video, at least 4.
        unaligned: Share of events that are not aligned, in [0, 1].
        flips: Probability that a pseudo label is wrong, in [0, 1].
        noise: Standard deviation of each value's noise.
        text_noise: Standard deviation of the noise of each value of a text vector.
        seed: Seed of all random numbers.
        overwrite: Replace an earlier synthetic dataset in the folder.

    Returns:
        The folder.

    Raises:
        AvnasError: A number is out of range, or the folder holds other files.
    """
    least = {"classes": (classes, 3), "train": (train, 2), "val": (val, 1), "test": (test, 1), "frames": (frames, 4)}
    least |= {"visual_dim": (visual_dim, 1), "audio_dim": (audio_dim, 1), "seed": (seed, 0)}
    check_least(least)
    for name, share in (("unaligned", unaligned), ("flips", flips)):
        if not 0 <= share <= 1:
            raise AvnasError(f"{name}={share} must be between 0 and 1")
    for name, deviation in (("noise", noise), ("text_noise", text_noise)):
        if not deviation >= 0:
            raise AvnasError(f"{name}={deviation} must be at least 0")
    out = Path(out)
    check_replaceable(out, overwrite, _NAMES)
    random = np.random.Generator(np.random.Philox(seed))
    spans = _events(train + val + test, classes, frames, unaligned, random)
    truth = _rasterized(spans, classes, frames)
    directions = [_unit(random.standard_normal((classes, dim))) for dim in (audio_dim, visual_dim)]
    features = {
        file: _features(truth[:, number], directions[number], noise, random)
        for number, file in enumerate(("audio.h5", "image.h5"))
    }
    texts = [(each + text_noise * random.standard_normal(each.shape)).astype(np.float32) for each in directions]
    weak: NDArray[np.bool_] = np.logical_or.reduce(truth, axis=(1, 2))
    pseudo = (truth ^ (random.random(truth.shape) < flips)) & weak[:, None, None, :]
    splits = np.repeat(np.array(["train", "val", "test"]), [train, val, test])
    write_folder(out, lambda folder: _write(folder, features, spans, weak, pseudo, texts, splits))
    return out


_Span = tuple[int, int, int, int, int]
"""Video, modality (0 audio, 1 visual), class, first step, step after the last."""


def _events(videos: int, classes: int, frames: int, unaligned: float, random: np.random.Generator) -> list[_Span]:
    spans: list[_Span] = []
    for video in range(videos):
        count = 1 + int(random.choice(len(_COUNTS), p=_COUNTS))
        for label in random.permutation(classes)[:count].tolist():
            first, second = _two_runs(frames, random)
            kind = int(random.integers(1, 4)) if random.random() < unaligned else 0  # aligned, heard, seen, apart
            if kind != 2:
                spans.append((video, 0, label, *first))
            if kind != 1:
                spans.append((video, 1, label, *(second if kind == 3 else first)))
    return spans


def _two_runs(frames: int, random: np.random.Generator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two disjoint runs of 2 to T / 2 steps, in random order."""
    cut = int(random.integers(2, frames - 1))
    runs = []
    for start, end in ((0, cut), (cut, frames)):
        length = int(random.integers(2, max(3, min(end - start, frames // 2) + 1)))
        begin = int(random.integers(start, end - length + 1))
        runs.append((begin, begin + length))
    first, second = runs[:: 1 if random.random() < 0.5 else -1]
    return first, second


def _rasterized(spans: list[_Span], classes: int, frames: int) -> NDArray[np.bool_]:
    truth = np.zeros((1 + max(span[0] for span in spans), 2, frames, classes), np.bool_)
    for video, modality, label, start, end in spans:
        truth[video, modality, start:end, label] = True
    return truth


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return unit


def _features(
    on: NDArray[np.bool_], directions: NDArray[np.float64], noise: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Features of one modality, (V, T, dim). No matrix products: their last bits depend on the BLAS library."""
    values = noise * random.standard_normal((*on.shape[:2], directions.shape[1]))
    gain = 2 * random.uniform(0.7, 1.3, (len(on), 1, 1))
    for label, direction in enumerate(directions):
        values += gain * on[:, :, label, None] * direction
    return values.astype(np.float32)


def _write(
    folder: Path,
    features: dict[str, NDArray[np.float32]],
    spans: list[_Span],
    weak: NDArray[np.bool_],
    pseudo: NDArray[np.bool_],
    texts: list[NDArray[np.float32]],
    splits: NDArray[np.str_],
) -> None:
    names = [f"video{row:06d}" for row in range(len(weak))]
    classes = [f"class{label}" for label in range(weak.shape[1])]
    write_features(folder, features, names)
    events = folder / "events"
    for number, modality in enumerate(MODALITIES):
        rows = [span for span in spans if span[1] == number and splits[span[0]] != "train"]
        lines = [f"{names[video]}\t{start}\t{end}\t{classes[label]}\n" for video, _, label, start, end in rows]
        (events / f"pseudo-{modality}").mkdir(parents=True)
        _text(events / f"{modality}.csv", ["filename\tonset\toffset\tevent_labels\n", *lines])
        np.save(events / f"text-{modality}.npy", texts[number])
        for name, table in zip(names, pseudo[:, number], strict=True):
            np.save(events / f"pseudo-{modality}" / f"{name}.npy", table.astype(np.int64))
    _text(events / "classes.txt", [f"{name}\n" for name in classes])
    for split in ("train", "val", "test"):
        held = {row: np.flatnonzero(weak[row]).tolist() for row in np.flatnonzero(splits == split).tolist()}
        _text(folder / f"{split}.txt", [f"{names[row]},{','.join(map(str, held[row]))}\n" for row in held])
        weak_lines = [f"{names[row]}\t{','.join(classes[label] for label in held[row])}\n" for row in held]
        _text(events / f"{split}.csv", ["filename\tevent_labels\n", *weak_lines])
    description = {
        "line": "id,label...",
        "label_base": 0,
        "classes": classes,
        "frames": int(pseudo.shape[2]),
        "events": {
            "classes": "events/classes.txt",
            **{modality: f"events/{modality}.csv" for modality in MODALITIES},
            "weak": {split: f"events/{split}.csv" for split in ("train", "val", "test")},
            "pseudo": {**{modality: f"events/pseudo-{modality}" for modality in MODALITIES}, "filtered": True},
            "texts": {modality: f"events/text-{modality}.npy" for modality in MODALITIES},
        },
    }
    _text(folder / "dataset.yaml", [yaml.safe_dump(description, sort_keys=False)])


def _text(path: Path, lines: list[str]) -> None:
    path.write_text("".join(lines), encoding="utf-8")
