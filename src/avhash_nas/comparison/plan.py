"""What a comparison consists of: its entries, its runs, and where they lie."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avhash_nas.comparison.paper import DATASETS, paper_rows
from avhash_nas.errors import AvnasError
from avhash_nas.pipeline.run_folder import RunFolder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_OURS = ("out", "overwrite", "bits", "seed", "config")


class FitOptions(dict[str, Any]):
    """Options of `avnas fit`, as its YAML files have them."""

    __slots__ = ()  # jsonargparse would copy what lies in __dict__, and nothing else


@dataclass(frozen=True)
class Entry:
    """One row of the table: what differs from the other rows.

    Args:
        name: Its runs lie in the folders NAME-BITS-SEED.
        label: What the table calls it; by default its name.
        recipes: YAML files with options of `avnas fit`, such as a strategy's recipe, over those of the comparison.
        options: Options of `avnas fit`, as in its YAML files, over those files.
        paper: Row of the paper's tables that stands beside ours: DARTS, Random, Visual, Transformer+, ...
        unequal: Its number of weight steps may differ from that of the others.
        group: Heading above the entries of one kind, such as "Trained without labels"; they follow each other.

    Raises:
        AvnasError: The name is no name of a folder, or an option is set that the comparison sets.
    """

    name: str
    label: str = ""
    recipes: list[str] = field(default_factory=list)
    options: FitOptions = field(default_factory=FitOptions)
    paper: str = ""
    unequal: bool = False
    group: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise AvnasError(f"entry {self.name!r}: a name starts with a letter or digit and has no blanks or slashes")
        _check_options(f"entry {self.name}", self.options)

    @property
    def title(self) -> str:
        """What the table calls it."""
        return self.label or self.name


@dataclass(frozen=True)
class Ranking:
    """How good a strategy's choice is: some architectures are trained alone and compared with their supernet scores.

    Args:
        space: Preset or JSON file; all its architectures must lie in the space that the entries search.
        architectures: How many of them are trained alone, once for each code length and seed.
        seed: Of their draw.

    Raises:
        AvnasError: Fewer than two architectures cannot be ranked.
    """

    space: str
    architectures: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architectures < 2:
            raise AvnasError(f"ranking.architectures must be at least 2, got {self.architectures}")


@dataclass(frozen=True)
class Comparison:
    """Entries x code lengths x seeds; each of these runs is one of `avnas fit`.

    Args:
        entries: The rows of the table.
        out: Folder of all runs and of the tables; the same command goes on there.
        title: Of the tables.
        report: Name of the files with the tables, REPORT.md, REPORT.csv and REPORT-runs.csv. Comparisons may share a
            folder, and with it the runs of entries that they have in common.
        recipes: YAML files with options of `avnas fit` for every run, later ones over earlier ones.
        options: Options of `avnas fit` for every run, over those files.
        seeds: One run for each.
        bits: Code lengths; one run for each.
        dataset: `activitynet` or `fcvid`: shows the paper's figures for it beside ours. Without it, the paper's figures
            of entries that name a row stand in a table of their own.
        in_full: Also make tables of mAP@5, mAP@20 and mAP@100 in every normalization.
        ranking: Whether and how the strategies' choices are judged.

    Raises:
        AvnasError: Entries are missing or named twice, or a value lies outside its range.
    """

    entries: list[Entry]
    out: str = "runs/compare"
    title: str = "Comparison"
    report: str = "comparison"
    recipes: list[str] = field(default_factory=list)
    options: FitOptions = field(default_factory=FitOptions)
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    bits: list[int] = field(default_factory=lambda: [32, 64])
    dataset: str | None = None
    in_full: bool = False
    ranking: Ranking | None = None

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.entries]
        if not names:
            raise AvnasError("entries: name at least one")
        if not _NAME.fullmatch(self.report):
            raise AvnasError(f"report names files, got {self.report!r}")
        _check_distinct("entries", names)
        for name, values, least in (("seeds", self.seeds, 0), ("bits", self.bits, 1)):
            _check_distinct(name, values)
            if not values or min(values) < least:
                raise AvnasError(f"{name} must hold numbers of at least {least}, got {values}")
        _check_options("options", self.options)
        if self.dataset is not None and self.dataset not in DATASETS:
            raise AvnasError(f"dataset must be one of the paper's, {' or '.join(DATASETS)}, got {self.dataset!r}")
        for entry in self.entries:
            if entry.paper:
                paper_rows(entry.paper, self.dataset or DATASETS[0])

    def under_headings(self) -> Iterator[tuple[str, Entry]]:
        """The entries in order, the first of each group with the group's heading, all others with none."""
        above = ""
        for entry in self.entries:
            yield ("" if entry.group == above else entry.group), entry
            above = entry.group

    def runs(self, entry: Entry) -> list["Run"]:
        """The runs of an entry, by code length, then by seed."""
        return [self.run(entry.name, bits, seed) for bits in self.bits for seed in self.seeds]

    def run(self, name: str, bits: int, seed: int) -> "Run":
        """One run of an entry, by its name."""
        return Run(name, bits, seed, Path(self.out) / f"{name}-{bits}-{seed}")

    def alone(self, architecture: str, bits: int, seed: int) -> "Run":
        """The run that trains one architecture alone, by the short name of the architecture."""
        return Run(f"alone/{architecture}", bits, seed, Path(self.out) / "alone" / f"{architecture}-{bits}-{seed}")


@dataclass(frozen=True)
class Run:
    """One run of `avnas fit` and its files: beside the folder lie its options and its log.

    Attributes:
        name: Of its entry.
        bits: Code length.
        seed: Of the run.
        path: Its folder.
    """

    name: str
    bits: int
    seed: int
    path: Path

    def __str__(self) -> str:
        return f"{self.name}-{self.bits}-{self.seed}"

    @property
    def folder(self) -> RunFolder:
        """What the run leaves."""
        return RunFolder(self.path)

    @property
    def options(self) -> Path:
        """All its options: `avnas fit --config` with this file is the run."""
        return self.path.with_name(f"{self.path.name}.yaml")

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.path.with_name(f"{self.path.name}.log")

    @property
    def scores(self) -> Path:
        """What its supernet gives the architectures of the ranking."""
        return self.path.with_name(f"{self.path.name}.scores.json")


def _check_distinct(name: str, values: list[Any]) -> None:
    if len(set(values)) < len(values):
        raise AvnasError(f"{name}: one is given twice in {values}")


def _check_options(where: str, options: dict[str, Any]) -> None:
    for name in _OURS:
        if name in options:
            raise AvnasError(f"{where}: `{name}` is no option of a single run here; the comparison sets it")
