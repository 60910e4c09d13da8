"""Parsing of event lists: what is heard or seen and when, and what a video holds at all.

The lists are those of LLP: text with a head, columns separated by tabs. Flaws that the published lists have, such as
empty, doubled or overlapping rows and names that match no video, are warnings; a list that cannot be understood is a
problem. Both name file and line.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from avhash_nas.data.event_files import EventFiles

TRUTH_HEAD = ("filename", "onset", "offset", "event_labels")
WEAK_HEAD = ("filename", "event_labels")


class Event(NamedTuple):
    """A row of a list of events: something is heard, or seen, from onset to offset in seconds."""

    path: Path
    number: int  # of the line, from 1
    video: str
    onset: float
    offset: float
    label: int


class WeakRow(NamedTuple):
    """A row of a list of weak labels: the classes that occur somewhere in a video, in some modality."""

    path: Path
    number: int
    video: str
    labels: frozenset[int]


class Flaws(NamedTuple):
    """What is wrong with lists, one line each: what makes them unusable, and what is unusual but allowed."""

    problems: list[str]
    warnings: list[str]


def read_events(path: Path, files: EventFiles, videos: Collection[str], flaws: Flaws) -> list[Event]:
    """The events of one modality; those of no listed video, and empty ones, are left out with a warning.

    Args:
        path: The list.
        files: Classes, and how names stand for videos.
        videos: Ids of the dataset's videos.
        flaws: Where messages go.
    """
    classes = {name: number for number, name in enumerate(files.classes)}
    events = []
    for number, row in _rows(path, TRUTH_HEAD, flaws.problems):
        where = f"{path}:{number}"
        name, onset, offset, label = row
        try:
            start, end = float(onset), float(offset)
        except ValueError:
            start = end = math.nan
        if not (math.isfinite(start) and math.isfinite(end)) or start < 0:
            flaws.problems.append(f"{where}: {onset!r} to {offset!r} are not two times in seconds from 0 on")
        elif label not in classes:
            flaws.problems.append(f"{where}: unknown class {label!r}; the classes are in dataset.yaml, events: classes")
        elif name[: files.key] not in videos:
            flaws.warnings.append(f"{where}: {name!r} matches no video; the row is left out")
        elif end <= start:
            flaws.warnings.append(f"{where}: {label} from {onset} to {offset} is empty; the row is left out")
        else:
            events.append(Event(path, number, name[: files.key], start, end, classes[label]))
    flaws.warnings.extend(_neighbors(events, files.classes))
    return events


def read_weak_labels(path: Path, files: EventFiles, videos: Collection[str], flaws: Flaws) -> dict[str, WeakRow]:
    """The weak labels of a split, by id of the video.

    Args:
        path: The list.
        files: Classes, and how names stand for videos.
        videos: Ids of the split's videos; each must have a row, others are left out with a warning.
        flaws: Where messages go.
    """
    classes = {name: number for number, name in enumerate(files.classes)}
    labeled: dict[str, WeakRow] = {}
    before = len(flaws.problems)
    for number, (name, labels) in _rows(path, WEAK_HEAD, flaws.problems):
        where, video = f"{path}:{number}", name[: files.key]
        names = [label.strip() for label in labels.split(",")]
        unknown = [label for label in names if label not in classes]
        if unknown:
            flaws.problems.append(
                f"{where}: unknown class {unknown[0]!r}; the classes are in dataset.yaml, events: classes"
            )
        elif video not in videos:
            flaws.warnings.append(f"{where}: {name!r} matches no video of this split; the row is left out")
        elif video in labeled:
            flaws.problems.append(f"{where}: video {video} is listed twice, first in line {labeled[video].number}")
        else:
            labeled[video] = WeakRow(path, number, video, frozenset(classes[label] for label in names))
    if len(flaws.problems) == before:
        missing = [video for video in videos if video not in labeled]
        flaws.problems.extend(f"{path}: video {video} has no weak label: add a line for it" for video in missing)
    return labeled


def differing_weak_labels(
    weak: Mapping[str, WeakRow], events: Collection[Event], classes: tuple[str, ...]
) -> Iterator[str]:
    """One line for each video whose weak label is not the union of its events."""
    union: dict[str, set[int]] = {video: set() for video in weak}
    for event in events:
        if event.video in union:
            union[event.video].add(event.label)
    for video, row in weak.items():
        lacks, adds = union[video] - row.labels, row.labels - union[video]
        parts = [f"lacks {', '.join(classes[c] for c in sorted(lacks))}"] if lacks else []
        parts += [f"adds {', '.join(classes[c] for c in sorted(adds))}"] if adds else []
        if parts:
            yield f"{row.path}:{row.number}: the weak label of {video} {' and '.join(parts)}, going by its events"


def steps_of(onset: float, offset: float, seconds: float, steps: int) -> range:
    """The time steps of an event: those of which it covers at least half, or else the one that it covers most.

    With whole seconds and steps of one second these are `onset` to `offset` - 1.

    Args:
        onset: In seconds, from 0.
        offset: In seconds, above the onset.
        seconds: Length of a step.
        steps: T; what lies beyond is cut.

    >>> steps_of(2, 4, 1.0, 10), steps_of(0.34, 0.91, 0.2, 25), steps_of(2.6, 3.3, 1.0, 10)
    (range(2, 4), range(2, 5), range(2, 3))
    """
    first, last, tiny = onset / seconds, offset / seconds, 1e-9
    start, end = math.ceil(first - 0.5 - tiny), math.floor(last - 0.5 + tiny) + 1
    if start >= end:
        start = math.floor(first)
        if last - (start + 1) > start + 1 - first + tiny:
            start += 1
        end = start + 1
    return range(min(start, steps), min(end, steps))


def _rows(path: Path, head: tuple[str, ...], problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines below the head, with their numbers from 1; malformed ones become problems."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(f"{path}: cannot be read: {reason}")
        return
    if not lines or tuple(lines[0].rstrip().split("\t")) != head:
        found = repr(lines[0][:60]) if lines else "nothing"
        problems.append(f"{path}:1: expected the head {' '.join(head)}, separated by tabs, found {found}")
        return
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        row = [field.strip() for field in line.split("\t")]
        if len(row) != len(head) or not all(row):
            problems.append(f"{path}:{number}: expected {', '.join(head)}, separated by tabs, found {line[:60]!r}")
        else:
            yield number, row


def _neighbors(events: Collection[Event], classes: tuple[str, ...]) -> Iterator[str]:
    """One line for each event that doubles, overlaps or abuts another one of its video and class."""
    ordered = sorted(events, key=lambda event: (event.video, event.label, event.onset, event.number))
    widest: Event | None = None
    for event in ordered:
        if widest is None or (widest.video, widest.label) != (event.video, event.label):
            widest = event
            continue
        if event.onset <= widest.offset:
            if (event.onset, event.offset) == (widest.onset, widest.offset):
                what = "doubles"
            else:
                what = "overlaps" if event.onset < widest.offset else "abuts"
            name = f"{classes[event.label]} of {event.video}"
            yield f"{event.path}:{event.number}: {name} {what} line {widest.number}: both count as one event"
        if event.offset > widest.offset:
            widest = event
