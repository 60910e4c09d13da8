"""The lists of a data set: which videos each split holds, and their labels."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.layout import ID_FRAMES_LABELS, ID_LABELS, Layout
from avhash_nas.errors import DataError


class Video(NamedTuple):
    """A line of a list.

    Args:
        id: The video's id, the name of its group in the HDF5 files.
        labels: Its labels in the order of the line, counted from 0.
        split: The split that lists it.
        line: Its line in the list, counted from 1.
    """

    id: str
    labels: tuple[int, ...]
    split: str
    line: int


@dataclass(frozen=True)
class Splits:
    """The videos of all splits. A video's place in ``videos`` is its row everywhere.

    Args:
        videos: Every video once, split after split, in the order of the lists.
        names: The splits' names.
        class_names: A name for each class; its number in the lists where none is given.
        line: The line format found or stated; None where it could not be told.
        label_base: The first class's label in the lists; None where it could not be told.
        overlaps: Number of videos that two splits share, for each such pair of splits.
    """

    videos: tuple[Video, ...]
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    line: str | None
    label_base: int | None
    overlaps: dict[tuple[str, str], int]

    @property
    def ids(self) -> tuple[str, ...]:
        """The videos' ids, row by row."""
        return tuple(video.id for video in self.videos)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a split's videos, ascending."""
        return np.array([row for row, video in enumerate(self.videos) if video.split == split], np.int64)

    def multi_hot(self, *, first_label_only: bool = False) -> NDArray[np.bool_]:
        """Labels as a table, (V, C).

        Args:
            first_label_only: Only the first label of each line counts, as in the authors' code.
        """
        table = np.zeros((len(self.videos), len(self.class_names)), np.bool_)
        labels = [video.labels[:1] if first_label_only else video.labels for video in self.videos]
        rows = np.repeat(np.arange(len(labels)), [len(each) for each in labels])
        table[rows, [label for each in labels for label in each]] = True
        return table


def read_splits(layout: Layout) -> Splits:
    """Reads the lists of a data set.

    Args:
        layout: Where they lie and how they are written.

    Raises:
        DataError: Every problem of the lists, each naming file and line.
    """
    splits, problems = parse_splits(layout)
    if problems:
        raise DataError(problems)
    return splits


class _Line(NamedTuple):
    split: str
    path: Path
    number: int
    id: str
    fields: tuple[int, ...]


def parse_splits(layout: Layout) -> tuple[Splits, tuple[str, ...]]:
    """As ``read_splits``, but returns the problems beside what could be read.

    Args:
        layout: Where the lists lie and how they are written.
    """
    problems: list[str] = []
    lines = [line for split, path in layout.lists.items() for line in _parse_list(split, path, problems)]
    lines, overlaps = _drop_repeated(lines, problems)
    where = layout.root / "dataset.yaml"
    form = layout.line or _infer_line([line.fields for line in lines], layout.classes)
    if form is None and lines:
        problems.append(f"{where}: lists fit two line formats; write line: '{ID_LABELS}' or line: '{ID_FRAMES_LABELS}'")
    labelled = [(line, _labels(line, form, problems)) for line in lines]
    used = {label for _, labels in labelled for label in labels}
    base = layout.label_base if layout.label_base is not None else _infer_base(used, layout.classes)
    if base is None and used:
        problems.append(
            f"{where}: smallest label {min(used)}, largest {max(used)}: write label_base: 0 or label_base: 1"
        )
    start = base or 0
    classes = layout.classes or max((label - start + 1 for label in used), default=0)
    videos = [
        Video(line.id, _in_range(line, labels, start, classes, problems), line.split, line.number)
        for line, labels in labelled
    ]
    names = layout.class_names or tuple(str(start + number) for number in range(classes))
    return Splits(tuple(videos), tuple(layout.lists), names, form, base, overlaps), tuple(problems)


def _parse_list(split: str, path: Path, problems: list[str]) -> list[_Line]:
    """Lines of a list: id and whole numbers; the others are noted."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        problems.append(f"{path}: no such file; name the {split} list in dataset.yaml, as lists: {{{split}: FILE}}")
        return []
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return []
    lines = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if not raw.strip():
            continue
        try:
            name, *fields = (part.strip() for part in raw.decode("utf-8").split(","))
            line = _Line(split, path, number, name, tuple(map(_whole, fields)))
        except ValueError:  # UnicodeDecodeError is one
            problems.append(f"{path}:{number}: {_shown(raw)} is not an id and whole numbers separated by commas")
            continue
        if name and fields:
            lines.append(line)
        else:
            problems.append(f"{path}:{number}: {_shown(raw)} lacks {'a label' if name else 'an id'}")
    if not lines:
        problems.append(f"{path}: the {split} split is empty")
    return lines


def _whole(text: str) -> int:
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _shown(raw: bytes) -> str:
    text = raw.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _drop_repeated(lines: list[_Line], problems: list[str]) -> tuple[list[_Line], dict[tuple[str, str], int]]:
    """The first line of each id, and how many videos each two splits share."""
    first: dict[str, _Line] = {}
    overlaps: Counter[tuple[str, str]] = Counter()
    for line in lines:
        earlier = first.setdefault(line.id, line)
        if earlier is line:
            continue
        if earlier.split == line.split:
            problems.append(f"{line.path}:{line.number}: video {line.id} is listed twice, first in line {earlier.number}")
        else:
            overlaps[earlier.split, line.split] += 1
            there = f"{earlier.path.name}:{earlier.number}"
            problems.append(
                f"{line.path}:{line.number}: video {line.id} of split {line.split} is also in split {earlier.split}"
                f" ({there}); a video belongs to one split"
            )
    return list(first.values()), dict(overlaps)


def _infer_line(lines: list[tuple[int, ...]], classes: int | None) -> str | None:
    """The line format, when only one makes sense of the numbers that follow the ids.

    A format makes sense when the labels that it gives leave no gap: 0 to n or 1 to n. A second column with one value
    throughout is no label, as it would say nothing.
    """
    longer = [fields for fields in lines if len(fields) > 1]
    if not longer:
        return ID_LABELS
    second = {fields[0] for fields in longer}
    rest = {label for fields in longer for label in fields[1:]}
    short = {fields[0] for fields in lines if len(fields) == 1}
    as_labels = _gapless(second | rest | short, classes)
    as_frames = _gapless(rest, classes) and min(second) > 0
    if short:
        return ID_LABELS if as_labels or not as_frames else None
    if as_frames and len(second) == 1 and len(longer) > 1:
        return ID_FRAMES_LABELS
    if as_labels == as_frames:
        return None
    return ID_LABELS if as_labels else ID_FRAMES_LABELS


def _gapless(labels: set[int], classes: int | None) -> bool:
    low, high = min(labels), max(labels)
    return low in (0, 1) and high - low + 1 == len(labels) <= (classes or len(labels))


def _infer_base(labels: set[int], classes: int | None) -> int | None:
    """The first class's label, when the labels leave no doubt: 0 if it occurs, 1 if it or the last of 1..C does."""
    if not labels:
        return None
    low, high = min(labels), max(labels)
    if low <= 0:
        return 0
    if classes is None:
        return 1 if low == 1 else None
    return 1 if high >= classes else None


def _labels(line: _Line, form: str | None, problems: list[str]) -> tuple[int, ...]:
    """The labels of a line, as written."""
    if form != ID_FRAMES_LABELS:
        return line.fields if form else ()
    if len(line.fields) == 1 or line.fields[0] < 1:
        missing = "a label" if len(line.fields) == 1 else "a positive number of frames"
        problems.append(f"{line.path}:{line.number}: video {line.id} lacks {missing}; lines are {ID_FRAMES_LABELS}")
    return line.fields[1:]


def _in_range(
    line: _Line, labels: Iterable[int], base: int, classes: int, problems: list[str]
) -> tuple[int, ...]:
    """The labels of a line counted from 0, each once; those out of range are noted."""
    known = []
    for label in dict.fromkeys(labels):
        if base <= label < base + classes:
            known.append(label - base)
        else:
            problems.append(
                f"{line.path}:{line.number}: label {label} of video {line.id} is not in {base}..{base + classes - 1}"
                f" ({classes} classes from {base} on)"
            )
    return tuple(known)
