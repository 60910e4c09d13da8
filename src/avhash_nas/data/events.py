"""The events of a dataset as tables: weak labels, what is heard and seen in each time step, pseudo labels, texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.event_files import MODALITIES, EventFiles
from avhash_nas.data.event_lists import Flaws, differing_weak_labels, read_events, read_weak_labels, steps_of
from avhash_nas.data.splits import Splits
from avhash_nas.errors import DataError

Table = NDArray[np.bool_]


@dataclass(frozen=True)
class Events:
    """What occurs in the V videos of a dataset. Rows are those of the dataset; the audio modality comes first.

    Training reads weak labels and pseudo labels only: the truth of training videos, where the lists have it, is not
    kept.

    Attributes:
        class_names: Names of the C classes.
        weak: Whether a class occurs somewhere in a video, (V, C).
        truth: Whether a class is heard, or seen, in a time step, (V, 2, T, C); False throughout for training videos.
        pseudo: Pseudo labels, (V, 2, T, C); None if the dataset has none.
        filtered: Whether the pseudo labels were cut to the weak labels. Those of val and test then tell a network part
            of the truth.
        texts: Vectors of the classes' names for audio and visual, (C, d) each; None if the dataset has none.
        seconds: Length of a time step.
    """

    class_names: tuple[str, ...]
    weak: Table
    truth: Table
    pseudo: Table | None = None
    filtered: bool = True
    texts: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    seconds: float = 1.0


@dataclass(frozen=True)
class EventReport:
    """What the event files hold, and what is wrong with them.

    Attributes:
        classes: C.
        rows: Number of usable rows, by modality.
        absent: By split, the number of videos without an event of each modality, and without one that is both.
        problems: What makes the files unusable.
        warnings: What is unusual but allowed.
    """

    classes: int
    rows: dict[str, int]
    absent: dict[str, dict[str, int]]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def open_events(files: EventFiles, splits: Splits, steps: int) -> Events:
    """Reads the event files of a dataset.

    Args:
        files: The files.
        splits: The dataset's videos.
        steps: T, of the features.

    Raises:
        DataError: All problems, each with file and line.
    """
    events, report = parse_events(files, splits, steps)
    if report.problems:
        raise DataError(report.problems)
    return events


def parse_events(files: EventFiles, splits: Splits, steps: int) -> tuple[Events, EventReport]:
    """Like `open_events`, but returns what is wrong next to everything that could be read."""
    flaws = Flaws([], [])
    ids = frozenset(splits.ids)
    lists = {name: read_events(files.truth[name], files, ids, flaws) for name in MODALITIES}
    every = [event for events in lists.values() for event in events]
    rows = {video.id: row for row, video in enumerate(splits.videos)}
    truth = np.zeros((len(rows), 2, steps, len(files.classes)), np.bool_)
    for number, name in enumerate(MODALITIES):
        for event in lists[name]:
            inside = steps_of(event.onset, event.offset, files.seconds, steps)
            truth[rows[event.video], number, inside.start : inside.stop, event.label] = True
            if not inside:
                flaws.warnings.append(f"{event.path}:{event.number}: starts after the last of the {steps} time steps")
    weak: Table = np.logical_or.reduce(truth, axis=(1, 2))
    for split, path in files.weak.items():
        in_split = [video.id for video in splits.videos if video.split == split]
        labeled = read_weak_labels(path, files, dict.fromkeys(in_split), flaws)
        for video, row in labeled.items():
            weak[rows[video]] = np.isin(np.arange(weak.shape[1]), list(row.labels))
        if split == "train":  # the lists of LLP leave training out
            labeled = {video: row for video, row in labeled.items() if truth[rows[video]].any()}
        flaws.warnings.extend(differing_weak_labels(labeled, every, files.classes))
    train = splits.rows("train") if "train" in splits.names else np.array([], np.int64)
    if not flaws.problems and not weak[train].any():
        flaws.problems.append(
            f"{files.truth['audio']}: no training video has a weak label; name their list in dataset.yaml, as "
            "events: {weak: {train: FILE}}"
        )
    absent = {split: _absent(truth[splits.rows(split)]) for split in splits.names if split != "train"}
    truth[train] = False
    events = Events(
        class_names=files.classes,
        weak=weak,
        truth=truth,
        pseudo=_pseudo(files, splits, steps, flaws.problems),
        filtered=files.filtered,
        texts=_texts(files, flaws.problems),
        seconds=files.seconds,
    )
    counts = {name: len(each) for name, each in lists.items()}
    report = EventReport(len(files.classes), counts, absent, tuple(flaws.problems), tuple(flaws.warnings))
    return events, report


def _absent(truth: Table) -> dict[str, int]:
    present = {"audio": truth[:, 0], "visual": truth[:, 1], "audio_visual": truth[:, 0] & truth[:, 1]}
    return {name: int((~table.any(axis=(1, 2))).sum()) for name, table in present.items()}


def _pseudo(files: EventFiles, splits: Splits, steps: int, problems: list[str]) -> Table | None:
    if not files.pseudo:
        return None
    shape = (steps, len(files.classes))
    table = np.zeros((len(splits.videos), 2, *shape), np.bool_)
    for number, name in enumerate(MODALITIES):
        for row, video in enumerate(splits.ids):
            path = files.pseudo[name] / f"{video}.npy"
            values = _array(path, problems)
            if values is None:
                continue
            if values.shape != shape or not np.isin(values, (0, 1)).all():
                problems.append(
                    f"{path}: expected 0 and 1 of shape {shape}, got {values.dtype} of shape {values.shape}"
                )
            else:
                table[row, number] = values
    return table


def _texts(files: EventFiles, problems: list[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    if not files.texts:
        return None
    vectors = []
    for name in MODALITIES:
        path = files.texts[name]
        values = _array(path, problems)
        if values is None:
            continue
        fine = values.ndim == 2 and len(values) == len(files.classes) and values.dtype.kind == "f"
        if not fine or not np.isfinite(values).all():
            problems.append(
                f"{path}: expected finite vectors of the {len(files.classes)} classes, (C, d), got {values.dtype} of "
                f"shape {values.shape}"
            )
        else:
            vectors.append(values.astype(np.float32))
    return (vectors[0], vectors[1]) if len(vectors) == 2 else None


def _array(path: Path, problems: list[str]) -> NDArray[Any] | None:
    try:
        values: NDArray[Any] = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        problems.append(f"{path}: no such file")
    except (OSError, ValueError, EOFError) as error:
        problems.append(f"{path}: cannot be read: {' '.join(str(error).split())}")
    else:
        return values
    return None
