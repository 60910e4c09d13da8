"""What is in a dataset, and everything that is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from avhash_nas.data.hdf5 import open_file, scan, survey
from avhash_nas.data.layout import Layout, different_frames, parse_layout
from avhash_nas.data.splits import Splits, parse_splits
from avhash_nas.errors import DataError


@dataclass(frozen=True)
class FileReport:
    """What a feature file holds.

    Args:
        path: The file.
        videos: Groups in it.
        unlisted: Groups that no list names.
        usable: Listed videos without a problem.
        frames: T, time steps of a video; None when no video could be read.
        dim: Dimensions of a time step.
        dtype: float32 or float16.
        constant: Ids of listed videos whose time steps are all equal.
        zero: Ids of listed videos that are zero throughout.
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
    """All that ``avnas data check`` prints.

    Args:
        root: The dataset's folder.
        files: What each modality's file holds.
        splits: Videos in each split.
        overlaps: Videos that two splits share, for each pair of splits that share some.
        classes: Number of classes.
        class_sizes: Training videos of each class.
        several_labels: Videos with more than one label.
        line: Line format of the lists; None where it could not be told.
        label_base: The first class's label in the lists; None where it could not be told.
        database: The split that is searched.
        problems: One line for each thing that keeps the dataset from being used.
        warnings: One line for each thing that is odd but allowed.
    """

    root: Path
    files: Mapping[str, FileReport]
    splits: Mapping[str, int]
    overlaps: Mapping[tuple[str, str], int]
    classes: int
    class_sizes: tuple[int, ...]
    several_labels: int
    line: str | None
    label_base: int | None
    database: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def check(root: str | Path) -> Report:
    """Reads a whole dataset, never stopping at a problem, and writes nothing.

    Args:
        root: The dataset's folder.
    """
    layout, problems = parse_layout(root)
    splits, list_problems = parse_splits(layout)
    problems += list_problems
    files = {}
    for modality in ("visual", "audio"):
        files[modality], file_problems = _check_file(layout, splits, modality)
        problems += file_problems
    frames = files["visual"].frames, files["audio"].frames
    if frames[0] and frames[1] and frames[0] != frames[1]:
        problems += (different_frames(layout, frames[0], frames[1]),)
    table = splits.multi_hot()
    sizes = tuple(map(int, table[splits.rows("train")].sum(0)))
    return Report(
        root=layout.root,
        files=files,
        splits={name: len(splits.rows(name)) for name in splits.names},
        overlaps=splits.overlaps,
        classes=len(splits.class_names),
        class_sizes=sizes,
        several_labels=int((table.sum(1) > 1).sum()),
        line=splits.line,
        label_base=splits.label_base,
        database=layout.database,
        problems=problems,
        warnings=tuple(_warnings(splits, sizes, files)),
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
            held = len(file)
    except DataError as error:
        return FileReport(path), error.problems
    report = FileReport(
        path, held, unlisted, len(splits.ids) - len(problems),
        shape and shape.frames, shape and shape.dim, shape and str(shape.dtype),
        tuple(constant), tuple(zero), tuple(non_finite),
    )  # fmt: skip
    return report, tuple(problems)


def _warnings(splits: Splits, sizes: Sequence[int], files: Mapping[str, FileReport]) -> list[str]:
    lines = []
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
    """Prints a report: tables of files and splits, then a line for each warning and each problem.

    Args:
        report: What ``check`` found.
        console: Where to print; by default the standard output.
    """
    console = console or Console()
    files = Table("file", "videos", "unlisted", "usable", "T", "dim", "type", "zero", "constant", "NaN/inf", box=None)
    for file in report.files.values():
        cells = (file.path.name, file.videos, file.unlisted, file.usable, file.frames, file.dim, file.dtype)
        counts = (len(file.zero), len(file.constant), len(file.non_finite))
        files.add_row(*("-" if cell is None else str(cell) for cell in (*cells, *counts)))
    splits = Table("split", "videos", "also in", box=None)
    for name, size in report.splits.items():
        shared = [f"{a if b == name else b} ({n})" for (a, b), n in report.overlaps.items() if name in (a, b)]
        splits.add_row(name + (" (database)" if name == report.database else ""), str(size), ", ".join(shared) or "-")
    sizes = np.array(report.class_sizes or (0,))
    base = "an unknown number" if report.label_base is None else report.label_base
    lines = [
        f"{report.classes} classes; training videos of a class: {sizes.min()} to {sizes.max()},"
        f" median {np.median(sizes):g}; videos with several labels: {report.several_labels}",
        f"lines are {report.line or 'of unknown format'}, labels start at {base}",
        *(f"warning: {line}" for line in report.warnings),
        *(f"problem: {line}" for line in report.problems),
        f"problems: {len(report.problems)}, warnings: {len(report.warnings)}",
    ]
    for part in (str(report.root), files, "", splits, "", *lines):
        console.print(part, soft_wrap=isinstance(part, str), markup=False, highlight=False)
