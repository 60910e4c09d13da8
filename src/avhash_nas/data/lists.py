"""Parsing of the split lists (`train.txt`, ...), and inference of their format."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from avhash_nas.data.layout import ID_FRAMES_LABELS, ID_LABELS
from avhash_nas.data.problems import Problem

_OTHER_SEPARATOR = re.compile(r"[;\t]|\s-?[0-9]+$")


class Line(NamedTuple):
    """A parsed line of a list, in which frame counts and labels are not yet distinguished."""

    split: str
    path: Path
    number: int  # from 1
    id: str
    fields: tuple[int, ...]  # the numbers after the id, without the -1
    minus_one: bool  # whether they end with -1, which stands for "no label"

    def problem(self, text: str, kind: str, detail: str) -> Problem:
        """A problem of this line."""
        return Problem.of_line(self.path, self.number, f"video {self.id} {text}", kind, f"({detail})")


def parse_list(split: str, path: Path, problems: list[str | Problem]) -> list[Line]:
    """Reads a list; adds one message to `problems` for each malformed line, and for an empty or unreadable list.

    A line may lack labels, or have -1 in their place: the video is a distractor. Without a comma, a line that looks
    like labels behind another separator is malformed.
    """
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
            if not fields and _OTHER_SEPARATOR.search(name):
                raise ValueError(name)
            numbers = [_integer(field) for field in fields if field or len(fields) > 1]  # "id," is "id"
        except ValueError:  # includes UnicodeDecodeError
            kind = "not an id and whole numbers separated by commas"
            problems.append(Problem.of_line(path, number, f"{_excerpt(raw)} is {kind}", kind, _excerpt(raw)))
            continue
        if not name:
            problems.append(
                Problem.of_line(path, number, f"{_excerpt(raw)} lacks an id", "lacking an id", _excerpt(raw))
            )
            continue
        if any(part in ("", ".") for part in name.split("/")):
            kind = "an id with an empty or '.' part between slashes, which names another group in HDF5"
            problems.append(Problem.of_line(path, number, f"{name!r} is {kind}", kind, repr(name)))
            continue
        minus_one = numbers[-1:] == [-1]
        lines.append(Line(split, path, number, name, tuple(numbers[:-1] if minus_one else numbers), minus_one))
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


def merge_lines(
    lines: list[Line], exclusive: Collection[str], problems: list[str | Problem]
) -> dict[str, dict[str, Line]]:
    """The lines of each id by split, in the order of the first ones.

    Adds one message to `problems` for each line that is dropped: its list names the video twice, its split and an
    earlier one are both `exclusive`, or the labels differ from those in an earlier list.
    """
    merged: dict[str, dict[str, Line]] = {}
    for line in lines:
        earlier = merged.setdefault(line.id, {})
        first = next(iter(earlier.values()), line)
        place = f"{first.path.name}:{first.number}"
        detail = f"{line.id}, {place}"
        if line.split in earlier:
            text = f"is listed twice, first in line {earlier[line.split].number}"
            problems.append(line.problem(text, "videos listed before", f"{line.id}, line {earlier[line.split].number}"))
        elif line.split in exclusive and first.split in exclusive and earlier:
            text = f"of split {line.split} is also in split {first.split} ({place}); a video belongs to one of them"
            kind = f"videos that are also in split {first.split}; a video belongs to one of them"
            problems.append(line.problem(text, kind, detail))
        elif (line.fields, line.minus_one) != (first.fields, first.minus_one):
            text = f"has other labels than in split {first.split} ({place}); write the same ones"
            kind = f"videos with other labels than in split {first.split}; write the same ones"
            problems.append(line.problem(text, kind, detail))
        else:
            earlier[line.split] = line
    return merged


def infer_line(lines: list[tuple[int, ...]], classes: int | None) -> str | None:
    """The line format, or None if both or neither are plausible; lines without labels do not count.

    A format is plausible if the labels that it implies have no gap: 0 to n or 1 to n. A second column with a single
    value is taken for the number of frames, because as a label it would carry no information.
    """
    lines = [fields for fields in lines if fields]
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
