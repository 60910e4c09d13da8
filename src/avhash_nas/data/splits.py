"""The splits of a dataset: which videos each of them holds, and their labels."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.layout import ID_FRAMES_LABELS, ID_LABELS, Layout
from avhash_nas.data.lists import Line, infer_base, infer_line, merge_lines, parse_list
from avhash_nas.data.problems import Problem, summarize
from avhash_nas.errors import DataError

EXCLUSIVE = ("train", "val", "test")
"""Splits that share no video with each other. Further lists, such as a database, may name any video again."""

QUERIES = ("val", "test")
"""Splits whose videos are queries."""


class Video(NamedTuple):
    """A video of the lists.

    Args:
        id: Its id in the HDF5 files.
        labels: The columns of its labels; none for a distractor.
        split: The split of the first list that names it.
        line: The line there, from 1.
        also_in: The splits of further lists that name it.
    """

    id: str
    labels: tuple[int, ...]
    split: str
    line: int
    also_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Splits:
    """The videos of all splits. A video's index in ``videos`` is its row everywhere.

    Args:
        videos: Every video once, split after split, in the order of the lists.
        names: Names of the splits.
        class_names: Names of the C classes: those of dataset.yaml; without names, the labels that occur in the lists,
            in ascending order. A label that no list has takes no column, so labels may be any whole numbers.
        line: The line format, inferred or stated; None if ambiguous.
        label_base: The smallest possible label, 0 or 1; None if unknown.
        overlaps: Number of videos shared by each pair of splits that share some, whether they may or not.
        without_label: Ids of the videos whose lines hold no label.
        absent: Number of classes that dataset.yaml counts without naming them, and that no list has.
    """

    videos: tuple[Video, ...]
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    line: str | None
    label_base: int | None
    overlaps: dict[tuple[str, str], int]
    without_label: frozenset[str] = frozenset()
    absent: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the videos, row by row."""
        return tuple(video.id for video in self.videos)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a split's videos, ascending."""
        found = (row for row, each in enumerate(self.videos) if each.split == split or split in each.also_in)
        return np.array(list(found), np.int64)

    def unlabeled(self, split: str) -> list[Video]:
        """The videos of a split that have no label: distractors, which are relevant to no query."""
        return [each for each in map(self.videos.__getitem__, self.rows(split)) if each.id in self.without_label]

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
        DataError: All problems of the lists, one line for each kind.
    """
    splits, problems = parse_splits(layout)
    if problems:
        raise DataError(summarize(problems))
    return splits


def parse_splits(layout: Layout) -> tuple[Splits, tuple[str | Problem, ...]]:
    """Like ``read_splits``, but returns the problems next to everything that could be read."""
    problems: list[str | Problem] = []
    lines = [line for split, path in layout.lists.items() for line in parse_list(split, path, problems)]
    merged = merge_lines(lines, EXCLUSIVE, problems)
    overlaps = _overlaps(lines)
    lines = [next(iter(named.values())) for named in merged.values()]
    yaml = layout.root / "dataset.yaml"
    form = layout.line or infer_line([line.fields for line in lines if not line.minus_one], layout.classes)
    if form is None and lines:
        problems.append(f"{yaml}: lists fit two line formats; write line: '{ID_LABELS}' or line: '{ID_FRAMES_LABELS}'")
    labeled = [(line, _labels(line, form, problems)) for line in lines]
    used = {label for _, labels in labeled for label in labels}
    base = layout.label_base if layout.label_base is not None else infer_base(used, layout.classes)
    if base is None and used and layout.classes is not None:
        problems.append(
            f"{yaml}: smallest label {min(used)}, largest {max(used)}: write label_base: 0 or label_base: 1"
        )
    start = base or 0
    valid = {label for label in used if start <= label and (layout.classes is None or label < start + layout.classes)}
    if layout.class_names is not None:
        names, columns = layout.class_names, {label: label - start for label in valid}
    else:
        columns = {label: column for column, label in enumerate(sorted(valid))}
        names = tuple(map(str, columns))
    videos = [
        Video(
            *(line.id, _columns(line, labels, columns, layout.classes, start, problems), line.split, line.number),
            tuple(merged[line.id])[1:],
        )
        for line, labels in labeled
    ]
    absent = (layout.classes or len(names)) - len(names)
    without_label = frozenset(line.id for line, labels in labeled if not (labels if form else line.fields))
    return Splits(tuple(videos), tuple(layout.lists), names, form, base, overlaps, without_label, absent), tuple(
        problems
    )


def query_problems(layout: Layout, splits: Splits) -> list[str]:
    """One message for each list of queries that has videos without a label."""
    found = {split: splits.unlabeled(split) for split in QUERIES}
    return [
        f"{layout.lists[split]}:{videos[0].line}: query {videos[0].id} has no label"
        + (f", and {len(videos) - 1} more have none" if len(videos) > 1 else "")
        + "; only videos of the database may lack labels: move them to a list of their own"
        for split, videos in found.items()
        if videos
    ]


def _overlaps(lines: Iterable[Line]) -> dict[tuple[str, str], int]:
    """Number of videos shared by each pair of splits that share some."""
    named: dict[str, list[str]] = {}
    for line in lines:
        named.setdefault(line.id, []).append(line.split)
    shared = (dict.fromkeys(splits) for splits in named.values() if len(splits) > 1)
    return dict(Counter(pair for splits in shared for pair in combinations(splits, 2)))


def _labels(line: Line, form: str | None, problems: list[str | Problem]) -> tuple[int, ...]:
    """The labels of a line as they stand in the list."""
    if form is None:
        return ()
    frames = line.fields[:1] if form == ID_FRAMES_LABELS else ()
    labels = line.fields[len(frames) :]
    if frames and frames[0] < 1:
        lacks = f"a positive number of frames; lines are {ID_FRAMES_LABELS}"
        problems.append(line.problem(f"lacks {lacks}", f"lacking {lacks}", line.id))
    if labels and line.minus_one:
        kind = "both labels and -1, which stands for no label"
        problems.append(line.problem(f"has {kind}", kind, line.id))
    return labels


def _columns(
    line: Line,
    labels: Iterable[int],
    columns: Mapping[int, int],
    classes: int | None,
    base: int,
    problems: list[str | Problem],
) -> tuple[int, ...]:
    """The columns of a line's labels, without duplicates; labels out of range are reported."""
    valid = []
    for label in dict.fromkeys(labels):
        if label in columns:
            valid.append(columns[label])
            continue
        limits = (
            f"not in {base}..{base + classes - 1} ({classes} classes from {base} on)" if classes else f"below {base}"
        )
        text = f"label {label} of video {line.id} is {limits}"
        problems.append(
            Problem.of_line(line.path, line.number, text, f"labels {limits}", f"({label}, video {line.id})")
        )
    return tuple(valid)
