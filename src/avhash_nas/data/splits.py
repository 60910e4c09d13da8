"""The splits of a dataset: which videos each of them holds, and their labels."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.layout import ID_FRAMES_LABELS, ID_LABELS, Layout
from avhash_nas.data.lists import Line, drop_duplicates, infer_base, infer_line, parse_list
from avhash_nas.errors import DataError


class Video(NamedTuple):
    """A video of a list: its id in the HDF5 files, labels counted from 0, split, and line number from 1."""

    id: str
    labels: tuple[int, ...]
    split: str
    line: int


@dataclass(frozen=True)
class Splits:
    """The videos of all splits. A video's index in ``videos`` is its row everywhere.

    Args:
        videos: Every video once, split after split, in the order of the lists.
        names: Names of the splits.
        class_names: Names of the classes; without names, their numbers in the lists.
        line: The line format, inferred or stated; None if ambiguous.
        label_base: The smallest label in the lists, 0 or 1; None if ambiguous.
        overlaps: Number of videos shared by each pair of splits that share some.
    """

    videos: tuple[Video, ...]
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    line: str | None
    label_base: int | None
    overlaps: dict[tuple[str, str], int]

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the videos, row by row."""
        return tuple(video.id for video in self.videos)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a split's videos, ascending."""
        return np.array([row for row, video in enumerate(self.videos) if video.split == split], np.int64)

    def multi_hot(self, *, first_label_only: bool = False) -> NDArray[np.bool_]:
        """Labels as a table, (V, C).

        Args:
            first_label_only: Use only the first label of each line, as the authors' code does.
        """
        table = np.zeros((len(self.videos), len(self.class_names)), np.bool_)
        labels = [video.labels[:1] if first_label_only else video.labels for video in self.videos]
        rows = np.repeat(np.arange(len(labels)), [len(each) for each in labels])
        table[rows, [label for each in labels for label in each]] = True
        return table


def read_splits(layout: Layout) -> Splits:
    """Reads the lists of a dataset.

    Args:
        layout: Paths and format of the lists.

    Raises:
        DataError: All problems of the lists, each with file and line.
    """
    splits, problems = parse_splits(layout)
    if problems:
        raise DataError(problems)
    return splits


def parse_splits(layout: Layout) -> tuple[Splits, tuple[str, ...]]:
    """Like ``read_splits``, but returns the problems next to everything that could be read."""
    problems: list[str] = []
    lines = [line for split, path in layout.lists.items() for line in parse_list(split, path, problems)]
    lines, overlaps = drop_duplicates(lines, problems)
    yaml = layout.root / "dataset.yaml"
    form = layout.line or infer_line([line.fields for line in lines], layout.classes)
    if form is None and lines:
        problems.append(f"{yaml}: lists fit two line formats; write line: '{ID_LABELS}' or line: '{ID_FRAMES_LABELS}'")
    labeled = [(line, _labels(line, form, problems)) for line in lines]
    used = {label for _, labels in labeled for label in labels}
    base = layout.label_base if layout.label_base is not None else infer_base(used, layout.classes)
    if base is None and used:
        problems.append(
            f"{yaml}: smallest label {min(used)}, largest {max(used)}: write label_base: 0 or label_base: 1"
        )
    start = base or 0
    classes = layout.classes or max((label - start + 1 for label in used), default=0)
    videos = [
        Video(line.id, _from_zero(line, labels, start, classes, problems), line.split, line.number)
        for line, labels in labeled
    ]
    names = layout.class_names or tuple(str(start + number) for number in range(classes))
    return Splits(tuple(videos), tuple(layout.lists), names, form, base, overlaps), tuple(problems)


def _labels(line: Line, form: str | None, problems: list[str]) -> tuple[int, ...]:
    """The labels of a line as they stand in the list."""
    if form != ID_FRAMES_LABELS:
        return line.fields if form else ()
    if len(line.fields) == 1 or line.fields[0] < 1:
        missing = "a label" if len(line.fields) == 1 else "a positive number of frames"
        problems.append(f"{line.path}:{line.number}: video {line.id} lacks {missing}; lines are {ID_FRAMES_LABELS}")
    return line.fields[1:]


def _from_zero(line: Line, labels: Iterable[int], base: int, classes: int, problems: list[str]) -> tuple[int, ...]:
    """The labels of a line counted from 0, without duplicates; those out of range are reported."""
    valid = []
    for label in dict.fromkeys(labels):
        if base <= label < base + classes:
            valid.append(label - base)
        else:
            problems.append(
                f"{line.path}:{line.number}: label {label} of video {line.id} is not in {base}..{base + classes - 1}"
                f" ({classes} classes from {base} on)"
            )
    return tuple(valid)
