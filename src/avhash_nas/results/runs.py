"""Read what a run has written to its folder so far."""

import csv
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.legacy import existing
from avhash_nas.networks import ParsingNetwork
from avhash_nas.pipeline import RunFolder
from avhash_nas.pipeline.evaluator import short_name
from avhash_nas.pipeline.parsing_task import PREDICTIONS_FILE
from avhash_nas.space import Architecture, SearchSpace, load_space
from avhash_nas.training.predictions import Predictions
from avhash_nas.training.search_log import EvaluatedArchitecture, Probabilities, read_evaluations, read_probabilities

Row = dict[str, float]
"""One epoch by column; columns without a value in this epoch are left out."""

_SEARCHABLE = ("AudioVisualNetwork", "AudioVisualParser")

BEST = 10
"""Number of best architectures whose candidates are counted where a strategy has no probabilities."""


class RunRecord:
    """The files of a run, read on first use.

    Only `config.yaml` is required. What the run has not written yet, or never writes, is empty or None, and `missing`
    lists it. A file that exists and cannot be read is an error.

    Args:
        path: Folder of the run.

    Raises:
        AvnasError: The folder holds no run.

    Attributes:
        path: Folder of the run.
        options: All options that decide what the run computes.
        metrics: `metrics.json`; empty until the run is finished.
    """

    def __init__(self, path: str | Path) -> None:
        self._folder = RunFolder(path)
        self.path = self._folder.path
        self.options = self._folder.read_options()
        self.metrics: Mapping[str, Any] = self._folder.read_metrics() if self._folder.metrics.exists() else {}

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def title(self) -> str:
        """Method, code length of a hashing network, and seed."""
        length = "" if self.parses else f", {self.bits} bits"
        return f"{self.method}{length}, seed {self.options.get('seed')}"

    @property
    def parses(self) -> bool:
        """Whether the run is for parsing; of a run that is not finished, by the class of its network."""
        if self.metrics:
            return self.metrics.get("task") == "parsing"
        option = self.options.get("network")
        path = str(option.get("class_path") if isinstance(option, Mapping) else option)
        module, _, name = path.rpartition(".")
        try:
            return issubclass(getattr(importlib.import_module(module), name), ParsingNetwork)
        except (ImportError, AttributeError, ValueError, TypeError):
            return False

    @cached_property
    def predictions(self) -> Predictions | None:
        """What a parser predicts for the test videos; None if the run has left none."""
        file = self.path / PREDICTIONS_FILE
        return Predictions.load(file) if file.exists() else None

    @property
    def method(self) -> str:
        """Name of the strategy, the architecture or the network."""
        searchable = self.network in _SEARCHABLE
        return self.strategy or (Path(self.options.get("space", "full")).stem if searchable else self.network)

    @property
    def bits(self) -> int:
        """Code length q."""
        return int(self.options["bits"])

    @property
    def network(self) -> str:
        """Name of the network's class."""
        return str(self.metrics.get("network") or self._class_name("network"))

    @property
    def exclude_self(self) -> bool:
        """Whether the test left queries out of their own rankings; earlier versions did not."""
        return bool((self.metrics.get("test") or {}).get("exclude_self"))

    @property
    def strategy(self) -> str | None:
        """Name of the strategy's class; None if nothing is searched."""
        if self.metrics:
            name = self.metrics.get("strategy")
            return None if name is None else str(name)
        return self._class_name("strategy") if self.space is not None and self.space.choices else None

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """One sentence for each kind of result that the folder lacks."""
        hashed = self.metrics and not self.parses
        sentences = {
            "The run is not finished: there are no scores on test.": not self.metrics,
            "The search is not finished: no architecture is chosen yet.": self.strategy and self.architecture is None,
            "Fine-tuning has not started.": self.architecture and not (self.epochs("finetune") or self.metrics),
            "curves.json is missing: there are no precision and recall curves.": hashed and not self.curves,
            "The folder codes/ is missing: the pictures of codes are left out.": hashed
            and not self._code_file("query").exists(),
        }
        return tuple(sentence for sentence, applies in sentences.items() if applies)

    def epochs(self, stage: Literal["search", "finetune"]) -> list[Row]:
        """The rows of a stage's epochs.csv; if the chosen architecture was already trained alone, of that training."""
        file = self._folder.stage(stage) / "epochs.csv"
        if stage == "finetune" and not file.exists() and self.architecture is not None:
            file = self._folder.stage(f"candidates/{short_name(self.architecture)}") / "epochs.csv"
        if not file.exists():
            return []
        with file.open(newline="", encoding="utf-8") as stream:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(stream)]

    @cached_property
    def selected_epoch(self) -> int | None:
        """The epoch of the search whose state was selected, from 0."""
        done = self._folder.stage("search") / "done.json"
        return int(read_json(done)["best"]["epoch"]) if done.exists() else None

    @cached_property
    def probabilities(self) -> dict[int, Probabilities]:
        """Probability of each candidate by epoch; empty if the strategy has no probabilities."""
        file = existing(self._folder.stage("search") / "probabilities.csv")
        return read_probabilities(file) if file.exists() else {}

    @cached_property
    def evaluations(self) -> tuple[EvaluatedArchitecture, ...]:
        """The architectures that were scored after the supernet was trained."""
        file = existing(self._folder.stage("search") / "evaluations.csv")
        return read_evaluations(file) if file.exists() else ()

    @cached_property
    def architecture(self) -> Architecture | None:
        """The chosen architecture, or the only one of the space; None for other networks."""
        if self._folder.architecture.exists():
            return Architecture.load(self._folder.architecture)
        return self.space.only() if self.space is not None and not self.space.choices else None

    @cached_property
    def space(self) -> SearchSpace | None:
        """The search space; None for other networks, and if the space was a file that no longer exists."""
        if self.network not in _SEARCHABLE:
            return None
        try:
            return load_space(self.options.get("space", "full"))
        except AvnasError:
            return None

    @cached_property
    def certainty(self) -> tuple[dict[str, float], str]:
        """How certain the choice of each cell was, in [0, 1], and the meaning of these numbers.

        The probability of the chosen candidate in the selected epoch; for a strategy without probabilities that
        evaluated many architectures, the share of the best ones that have the candidate. Empty if neither is known.
        """
        if self.architecture is None:
            return {}, ""
        if self.probabilities:
            epoch = self.selected_epoch if self.selected_epoch is not None else max(self.probabilities)
            cells = self.probabilities.get(epoch, {})
            known = {cell: cells[cell][name] for cell, name in self.architecture.items() if name in cells.get(cell, {})}
            return known, "its probability in the selected epoch"
        if len(self.evaluations) < 2 * BEST:
            return {}, ""
        best = sorted(self.evaluations, key=lambda each: -each.score)[:BEST]
        shares = {
            cell: sum(each.architecture[cell] == name for each in best) / BEST
            for cell, name in self.architecture.items()
        }
        return shares, f"its share among the {BEST} best architectures evaluated"

    @cached_property
    def curves(self) -> Mapping[str, Any]:
        """`curves.json`; empty if it does not exist."""
        file = self.path / "curves.json"
        return read_json(file) if file.exists() else {}

    def codes(self, role: Literal["query", "database"]) -> CodeSet | None:
        """The codes of the test; None if they do not exist."""
        file = self._code_file(role)
        return CodeSet.load(file) if file.exists() else None

    def _code_file(self, role: str) -> Path:
        return self._folder.codes / f"{role}.npz"

    def _class_name(self, option: str) -> str:
        """Name of the class that an option names."""
        value = self.options.get(option)
        path = value.get("class_path", option) if isinstance(value, Mapping) else value or option
        return str(path).rpartition(".")[2]


@dataclass(frozen=True)
class Method:
    """Runs that differ only in the seed, shown as one.

    Attributes:
        label: Name of the strategy, the architecture or the network.
        bits: Code length q.
        runs: One run for each seed.
    """

    label: str
    bits: int
    runs: tuple[RunRecord, ...]


def group_by_method(records: Iterable[RunRecord]) -> list[Method]:
    """Group runs by method and code length, in order of appearance.

    Runs of one method and code length with equal seeds differ in another option; the names of their folders tell them
    apart.
    """
    grouped: dict[tuple[str, int], list[RunRecord]] = {}
    for record in records:
        grouped.setdefault((record.method, record.bits), []).append(record)
    methods = []
    for (label, bits), runs in grouped.items():
        if len({run.options.get("seed") for run in runs}) == len(runs):
            methods.append(Method(label, bits, tuple(runs)))
        else:
            methods += [Method(f"{label} ({run.name})", bits, (run,)) for run in runs]
    return methods
