"""The plan of a comparison: entries, runs, and where the runs are stored."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avhash_nas.comparison.paper import DATASETS, paper_rows
from avhash_nas.comparison.ranking import Ranking
from avhash_nas.errors import AvnasError
from avhash_nas.pipeline.run_folder import RunFolder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_SET_BY_COMPARISON = ("out", "overwrite", "bits", "seed", "config")


class FitOptions(dict[str, Any]):
    """Options of `avnas fit`, as in its YAML files."""

    __slots__ = ()  # with a __dict__, jsonargparse would copy that and drop the items


@dataclass(frozen=True)
class Entry:
    """One row of the tables: how it differs from the other rows.

    Args:
        name: Name; the runs are stored in the folders NAME-BITS-SEED.
        label: Title in the tables; by default the name.
        recipes: YAML files with options of `avnas fit`, such as a strategy's recipe; they override the comparison's.
        options: Options of `avnas fit`, as in its YAML files; they override the recipes.
        paper: Row of the paper's tables to show beside it: DARTS, Random, Visual, Transformer+, ...
        unequal: Its number of weight steps may differ from that of the others.
        group: Heading above consecutive entries of one kind, such as "Trained without labels".

    Raises:
        AvnasError: The name is not a valid folder name, or an option is set that the comparison sets.
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
        """Title in the tables."""
        return self.label or self.name


@dataclass(frozen=True)
class Comparison:
    """Entries x code lengths x seeds, each a run of `avnas fit`.

    Args:
        entries: Rows of the tables.
        out: Folder of all runs and tables; the same command resumes there.
        title: Title of the tables.
        report: Name of the table files REPORT.md, REPORT.csv and REPORT-runs.csv. Comparisons may share a folder, and
            with it the runs of common entries.
        recipes: YAML files with options of `avnas fit` for every run; later files override earlier ones.
        options: Options of `avnas fit` for every run; they override the recipes.
        seeds: Seeds; one run for each.
        bits: Code lengths; one run for each.
        dataset: `activitynet` or `fcvid`: show the paper's values for it beside ours. By default, the published values
            of entries that name a row get a table of their own.
        in_full: Also make tables of mAP@5, mAP@20 and mAP@100 in every normalization.
        ranking: How to rate the searches, if at all.

    Raises:
        AvnasError: Entries are missing or duplicated, or a value is out of range.
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
        """The entries in order; the first of each group with the group's heading, the others with an empty one."""
        above = ""
        for entry in self.entries:
            yield ("" if entry.group == above else entry.group), entry
            above = entry.group

    def runs(self, entry: Entry) -> list["Run"]:
        """The runs of an entry, by code length, then by seed."""
        return [self.run(entry.name, bits, seed) for bits in self.bits for seed in self.seeds]

    def run(self, name: str, bits: int, seed: int) -> "Run":
        """One run of an entry, by the entry's name."""
        return Run(name, bits, seed, Path(self.out) / f"{name}-{bits}-{seed}")

    def alone(self, architecture: str, bits: int, seed: int) -> "Run":
        """The run that trains one architecture alone, by the architecture's short name."""
        return Run(f"alone/{architecture}", bits, seed, Path(self.out) / "alone" / f"{architecture}-{bits}-{seed}")


@dataclass(frozen=True)
class Run:
    """One run of `avnas fit`; its options and log are stored beside its folder.

    Attributes:
        name: Name of the entry.
        bits: Code length.
        seed: Seed.
        path: Folder of the run.
    """

    name: str
    bits: int
    seed: int
    path: Path

    def __str__(self) -> str:
        return f"{self.name}-{self.bits}-{self.seed}"

    @property
    def folder(self) -> RunFolder:
        """The folder's content."""
        return RunFolder(self.path)

    @property
    def options(self) -> Path:
        """File with all options: `avnas fit --config` with it repeats the run."""
        return self.path.with_name(f"{self.path.name}.yaml")

    @property
    def log(self) -> Path:
        """File with the output of the run."""
        return self.path.with_name(f"{self.path.name}.log")

    @property
    def scores(self) -> Path:
        """File with the supernet's scores of the ranked architectures."""
        return self.path.with_name(f"{self.path.name}.scores.json")


def _check_distinct(name: str, values: list[Any]) -> None:
    if len(set(values)) < len(values):
        raise AvnasError(f"{name}: one is given twice in {values}")


def _check_options(where: str, options: dict[str, Any]) -> None:
    for name in _SET_BY_COMPARISON:
        if name in options:
            raise AvnasError(f"{where}: `{name}` is not an option of a single run here; the comparison sets it")
