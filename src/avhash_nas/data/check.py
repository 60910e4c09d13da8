"""Validation of a dataset: its contents, and all problems and warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from avhash_nas.data.captions import CaptionReport, read_captions
from avhash_nas.data.events import EventReport, parse_events
from avhash_nas.data.hdf5 import open_file, scan, survey
from avhash_nas.data.layout import Layout, different_frames, parse_layout
from avhash_nas.data.splits import QUERIES, Splits, parse_splits, query_problems
from avhash_nas.errors import DataError


@dataclass(frozen=True)
class FileReport:
    """Contents of a feature file.

    Args:
        path: The file.
        videos: Number of groups.
        unlisted: Number of groups that are in no list.
        usable: Number of listed videos without a problem.
        frames: T, time steps of a video; None if no video could be read.
        dim: Dimensions of a time step.
        dtype: float32 or float16.
        constant: Ids of listed videos whose time steps are all equal.
        zero: Ids of listed videos with zeros only.
        non_finite: Ids of listed videos with NaN or infinite values.
    """

    path: Path
    videos: int = 0
    unlisted: int = 0
    usable: int = 0
    frames: int | None = None
    dim: int | None = None
    dtype: str | None = None
    constant: tuple[str, ...] = ()
    zero: tuple[str, ...] = ()
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
        problems: Messages about everything that makes the dataset unusable.
        warnings: Messages about everything that is unusual but allowed.
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


def check(root: str | Path) -> Report:
    """Validates a whole dataset, without stopping at the first problem; writes nothing.

    Args:
        root: The dataset's folder.
    """
    layout, problems = parse_layout(root)
    splits, list_problems = parse_splits(layout)
    problems += (*list_problems, *query_problems(layout, splits))
    files = {}
    for modality in ("visual", "audio"):
        files[modality], file_problems = _check_file(layout, splits, modality)
        problems += file_problems
    captions = None
    if layout.captions is not None:
        try:
            captions = CaptionReport.of(read_captions(layout.captions, splits.ids, layout.files.get("text")))
        except DataError as error:
            problems += error.problems
    frames = files["visual"].frames, files["audio"].frames
    if frames[0] and frames[1] and frames[0] != frames[1]:
        problems += (different_frames(layout, frames[0], frames[1]),)
    events = None
    if layout.events is not None:
        steps = layout.frames or frames[0] or frames[1] or 1
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
        classes=len(splits.class_names),
        class_sizes=sizes,
        several_labels=int((table.sum(1) > 1).sum()),
        line=splits.line,
        label_base=splits.label_base,
        database=layout.database,
        problems=problems,
        warnings=(*_warnings(splits, sizes, files), *(events.warnings if events is not None else ())),
        events=events,
        captions=captions,
    )


def _check_file(layout: Layout, splits: Splits, modality: str) -> tuple[FileReport, tuple[str, ...]]:
    path = layout.files[modality]
    problems: list[str] = []
    constant, zero, non_finite = [], [], []
    try:
        with open_file(path) as file:
            shape = survey(file, splits.ids, layout.frames)
            for video in scan(file, splits.ids, shape):
                if video.problem is not None:
                    problems.append(video.problem)
                    if video.non_finite:
                        non_finite.append(video.id)
                elif video.array is not None and not video.array.any():
                    zero.append(video.id)
                elif video.array is not None and len(video.array) > 1 and (video.array == video.array[0]).all():
                    constant.append(video.id)
            listed = set(splits.ids)
            unlisted = sum(name not in listed for name in file)
            videos = len(file)
    except DataError as error:
        return FileReport(path), error.problems
    report = FileReport(
        path, videos, unlisted, len(splits.ids) - len(problems),
        shape and shape.frames, shape and shape.dim, shape and str(shape.dtype),
        tuple(constant), tuple(zero), tuple(non_finite),
    )  # fmt: skip
    return report, tuple(problems)


def _warnings(splits: Splits, sizes: Sequence[int], files: Mapping[str, FileReport]) -> list[str]:
    lines = []
    if unlabeled := splits.unlabeled("train"):
        lines.append(
            f"{len(unlabeled)} training videos have no label, such as {unlabeled[0].id}: only an objective that reads "
            "no labels can train on them"
        )
    for name, size in zip(splits.class_names, sizes, strict=True):
        if size == 1:
            lines.append(f"class {name} has a single training video: it serves as a negative, never as an anchor")
        elif size == 0:
            lines.append(f"class {name} has no training video")
    for file in files.values():
        lines += [f"{file.path}: video {video}: all values are zero" for video in file.zero]
        lines += [f"{file.path}: video {video}: all time steps are equal" for video in file.constant]
    return lines


def print_report(report: Report, console: Console | None = None) -> None:
    """Prints tables of files and splits, then one line for each warning and each problem.

    Args:
        report: The result of ``check``.
        console: By default the standard output.
    """
    console = console or Console()
    files = Table("file", "videos", "unlisted", "usable", "T", "dim", "type", "zero", "constant", "NaN/inf", box=None)
    for file in report.files.values():
        cells = (file.path.name, file.videos, file.unlisted, file.usable, file.frames, file.dim, file.dtype)
        counts = (len(file.zero), len(file.constant), len(file.non_finite))
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
            "(--data.keep_itself ranks it)"
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
