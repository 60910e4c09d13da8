"""Validation of a dataset: its contents, and all problems and warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from avhash_nas.data.captions import CaptionReport, read_captions
from avhash_nas.data.events import EventReport, parse_events
from avhash_nas.data.hdf5 import open_file, scan, survey, video_ids
from avhash_nas.data.layout import different_frames, parse_layout
from avhash_nas.data.problems import Problem, some, summarize
from avhash_nas.data.splits import QUERIES, Splits, parse_splits, query_problems
from avhash_nas.data.suspicions import Suspicions
from avhash_nas.errors import DataError


@dataclass(frozen=True)
class FileReport:
    """Contents of a feature file.

    Args:
        path: The file.
        videos: Number of videos.
        unlisted: Number of videos that are in no list.
        usable: Number of listed videos without a problem.
        frames: T, time steps of a video; None if no video could be read.
        dim: Dimensions of a time step.
        dtype: float32 or float16.
        suspicions: What is suspicious in the listed videos.
        non_finite: Ids of listed videos with NaN or infinite values.
    """

    path: Path
    videos: int = 0
    unlisted: int = 0
    usable: int = 0
    frames: int | None = None
    dim: int | None = None
    dtype: str | None = None
    suspicions: Suspicions = field(default_factory=Suspicions)
    non_finite: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The result of ``check``, which ``avnas data check`` prints.

    Args:
        root: The dataset's folder.
        files: Contents of each modality's file.
        splits: Number of videos in each split.
        overlaps: Number of videos shared by each pair of splits that share some.
        unlabeled: Number of videos without a label in each split.
        own: Number of queries of each split that the database holds as well.
        classes: Number of classes.
        class_sizes: Number of training videos of each class.
        several_labels: Number of videos with more than one label.
        line: Line format of the lists; None if ambiguous.
        label_base: The smallest label in the lists; None if ambiguous.
        database: The split that queries search.
        problems: Messages about everything that makes the dataset unusable: one for each kind, with a count and the
            first examples.
        warnings: The same about everything that is unusual but allowed.
        events: What the event files hold; None without event files.
        captions: What the captions are; None without captions, or if they have problems.
    """

    root: Path
    files: Mapping[str, FileReport]
    splits: Mapping[str, int]
    overlaps: Mapping[tuple[str, str], int]
    unlabeled: Mapping[str, int]
    own: Mapping[str, int]
    classes: int
    class_sizes: tuple[int, ...]
    several_labels: int
    line: str | None
    label_base: int | None
    database: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    events: EventReport | None = None
    captions: CaptionReport | None = None


def check(root: str | Path, *, every: bool = False) -> Report:
    """Validates a whole dataset, without stopping at the first problem; writes nothing.

    Args:
        root: The dataset's folder.
        every: One message for each video, line and class instead of one for each kind.
    """
    layout, layout_problems = parse_layout(root)
    splits, list_problems = parse_splits(layout)
    problems: list[str | Problem] = [*layout_problems, *list_problems, *query_problems(layout, splits)]
    files = {}
    for modality, path in layout.modalities.items():
        files[modality], file_problems = _check_file(path, splits, layout.frames)
        problems += file_problems
    captions = None
    if layout.captions is not None:
        try:
            captions = CaptionReport.of(read_captions(layout.captions, splits.ids, layout.files.get("text")))
        except DataError as error:
            problems += error.problems
    frames = [file.frames for file in files.values() if file.frames]
    if len(set(frames)) > 1:
        problems.append(different_frames(layout, *frames))
    events = None
    if layout.events is not None:
        steps = layout.frames or next(iter(frames), 1)
        events = parse_events(layout.events, splits, steps)[1]
        problems += events.problems
    table = splits.multi_hot()
    sizes = tuple(map(int, table[splits.rows("train")].sum(0)))
    return Report(
        root=layout.root,
        files=files,
        splits={name: len(splits.rows(name)) for name in splits.names},
        overlaps=splits.overlaps,
        unlabeled={name: len(splits.unlabeled(name)) for name in splits.names},
        own={name: len(np.intersect1d(splits.rows(name), splits.rows(layout.database))) for name in QUERIES},
        classes=len(splits.class_names) + splits.absent,
        class_sizes=sizes,
        several_labels=int((table.sum(1) > 1).sum()),
        line=splits.line,
        label_base=splits.label_base,
        database=layout.database,
        problems=summarize(problems, every=every),
        warnings=(*_warnings(splits, sizes, files, every=every), *(events.warnings if events is not None else ())),
        events=events,
        captions=captions,
    )


def _check_file(path: Path, splits: Splits, frames: int | None) -> tuple[FileReport, list[str | Problem]]:
    problems: list[Problem] = []
    non_finite = []
    try:
        with open_file(path) as file:
            shape = survey(file, splits.ids, frames)
            suspicions = Suspicions.of(shape)
            for video in scan(file, splits.ids, shape):
                if video.problem is not None:
                    problems.append(video.problem)
                    if video.non_finite:
                        non_finite.append(video.id)
                elif video.array is not None:
                    suspicions.look_at(video.id, video.array)
            listed = set(splits.ids)
            ids = video_ids(file, listed)
    except DataError as error:
        return FileReport(path), list(error.problems)
    report = FileReport(
        path, len(ids), sum(name not in listed for name in ids), len(splits.ids) - len(problems),
        shape and shape.frames, shape and shape.dim, shape and str(shape.dtype),
        suspicions, tuple(non_finite),
    )  # fmt: skip
    return report, list(problems)


def _warnings(splits: Splits, sizes: Sequence[int], files: Mapping[str, FileReport], *, every: bool) -> list[str]:
    lines = []
    if unlabeled := splits.unlabeled("train"):
        lines.append(
            f"{len(unlabeled)} training videos have no label, such as {unlabeled[0].id}: only an objective that reads "
            "no labels can train on them"
        )
    kinds = {1: "a single training video: it serves as a negative, never as an anchor", 0: "no training video"}
    for count, text in kinds.items():
        names = [name for name, size in zip(splits.class_names, sizes, strict=True) if size == count]
        if every or len(names) == 1:
            lines += [f"class {name} has {text}" for name in names]
        elif names:
            lines.append(f"{len(names)} classes have {text}: {some(names, len(names))}")
    if splits.absent:
        lines.append(f"{splits.absent} of the classes that dataset.yaml counts are in no list")
    for file in files.values():
        lines += file.suspicions.lines(file.path, every=every)
    return lines


def print_report(report: Report, console: Console | None = None) -> None:
    """Prints tables of files and splits, then one line for each kind of warning and problem.

    Args:
        report: The result of ``check``.
        console: By default the standard output.
    """
    console = console or Console()
    files = Table("file", "videos", "unlisted", "usable", "T", "dim", "type", "zero", "constant", "NaN/inf", box=None)
    for file in report.files.values():
        cells = (file.path.name, file.videos, file.unlisted, file.usable, file.frames, file.dim, file.dtype)
        counts = (len(file.suspicions.zero), len(file.suspicions.constant), len(file.non_finite))
        files.add_row(*("-" if cell is None else str(cell) for cell in (*cells, *counts)))
    splits = Table("split", "videos", "no label", "also in", box=None)
    for name, size in report.splits.items():
        shared = [f"{a if b == name else b} ({n})" for (a, b), n in report.overlaps.items() if name in (a, b)]
        title = name + (" (database)" if name == report.database else "")
        splits.add_row(title, str(size), str(report.unlabeled[name]), ", ".join(shared) or "-")
    sizes = np.array(report.class_sizes or (0,))
    base = "an unknown number" if report.label_base is None else report.label_base
    lines = [
        f"{report.classes} classes; training videos of a class: {sizes.min()} to {sizes.max()},"
        f" median {np.median(sizes):g}; videos with several labels: {report.several_labels}",
        *([] if report.captions is None else [str(report.captions)]),
        f"lines are {report.line or 'of unknown format'}, labels start at {base}",
        *(_event_lines(report.events) if report.events is not None else ()),
        *(
            f"{own} of {report.splits[name]} {name} queries are in the database: each is left out of its own ranking "
            "(--data.include_self ranks it)"
            for name, own in report.own.items()
            if own
        ),
        *(f"warning: {line}" for line in report.warnings),
        *(f"problem: {line}" for line in report.problems),
        f"problems: {len(report.problems)}, warnings: {len(report.warnings)}",
    ]
    for part in (str(report.root), files, "", splits, "", *lines):
        console.print(part, soft_wrap=isinstance(part, str), markup=False, highlight=False)


def _event_lines(events: EventReport) -> list[str]:
    rows = ", ".join(f"{count:,} rows of what is {_VERBS[name]}" for name, count in events.rows.items())
    lines = [f"events of {events.classes} classes: {rows}"]
    for split, absent in events.absent.items():
        parts = ", ".join(f"{count} nothing {_VERBS[name]}" for name, count in absent.items())
        lines.append(f"events of {split}: videos with {parts}")
    return lines


_VERBS = {"audio": "heard", "visual": "seen", "audio_visual": "both heard and seen"}
