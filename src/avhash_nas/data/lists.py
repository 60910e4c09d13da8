"""Parsing of the split lists (`train.txt`, ...), and inference of their format."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from avhash_nas.data.layout import ID_FRAMES_LABELS, ID_LABELS


class Line(NamedTuple):
    """A parsed line of a list, in which frame counts and labels are not yet distinguished."""

    split: str
    path: Path
    number: int  # from 1
    id: str
    fields: tuple[int, ...]  # the numbers after the id


def parse_list(split: str, path: Path, problems: list[str]) -> list[Line]:
    """Reads a list; adds one message to `problems` for each malformed line, and for an empty or unreadable list."""
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
            line = Line(split, path, number, name, tuple(map(_integer, fields)))
        except ValueError:  # includes UnicodeDecodeError
            problems.append(f"{path}:{number}: {_excerpt(raw)} is not an id and whole numbers separated by commas")
            continue
        if name and fields:
            lines.append(line)
        else:
            problems.append(f"{path}:{number}: {_excerpt(raw)} lacks {'a label' if name else 'an id'}")
    if not lines:
        problems.append(f"{path}: the {split} split is empty")
    return lines


def _integer(text: str) -> int:
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _excerpt(raw: bytes) -> str:
    text = raw.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 60 else text[:57] + "...")


def drop_duplicates(lines: list[Line], problems: list[str]) -> tuple[list[Line], dict[tuple[str, str], int]]:
    """Keeps the first line of each id in all lists; adds one message to `problems` for each dropped line.

    Returns:
        The remaining lines, and the number of shared videos for each pair of splits that share some.
    """
    first: dict[str, Line] = {}
    overlaps: Counter[tuple[str, str]] = Counter()
    for line in lines:
        earlier = first.setdefault(line.id, line)
        if earlier is line:
            continue
        if earlier.split == line.split:
            problems.append(
                f"{line.path}:{line.number}: video {line.id} is listed twice, first in line {earlier.number}"
            )
        else:
            overlaps[earlier.split, line.split] += 1
            problems.append(
                f"{line.path}:{line.number}: video {line.id} of split {line.split} is also in split {earlier.split}"
                f" ({earlier.path.name}:{earlier.number}); a video belongs to one split"
            )
    return list(first.values()), dict(overlaps)


def infer_line(lines: list[tuple[int, ...]], classes: int | None) -> str | None:
    """The line format, or None if both or neither are plausible.

    A format is plausible if the labels that it implies have no gap: 0 to n or 1 to n. A second column with a single
    value is taken for the number of frames, because as a label it would carry no information.
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


def infer_base(labels: set[int], classes: int | None) -> int | None:
    """The smallest label, or None if ambiguous: 0 if it occurs; 1 if label C occurs, or if 1 does and C is unknown."""
    if not labels:
        return None
    low, high = min(labels), max(labels)
    if low <= 0:
        return 0
    if classes is None:
        return 1 if low == 1 else None
    return 1 if high >= classes else None
