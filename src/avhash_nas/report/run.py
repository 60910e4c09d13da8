"""What a run left in its folder, as far as it has come."""

import csv
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.legacy import existing
from avhash_nas.pipeline import RunFolder
from avhash_nas.pipeline.evaluator import short_name
from avhash_nas.report.design import Design
from avhash_nas.space import Architecture, SearchSpace, load_space
from avhash_nas.training.search_log import EvaluatedArchitecture, Probabilities, read_evaluations, read_probabilities

Row = dict[str, float]
"""One epoch, by the names of the columns; what was not measured in the epoch is left out."""


BEST = 10
"""Architectures whose candidates are counted where a strategy knows no probabilities."""


class RunRecord:
    """What a run left in its folder, read when it is asked for.

    Only `config.yaml` has to be there. Of a run that is not finished, or that has no such stage, the rest is empty or
    None, and `missing` says so. A file that is there and cannot be read is an error.

    Args:
        path: Folder of the run.

    Raises:
        AvnasError: The folder holds no run.

    Attributes:
        path: Folder of the run.
        options: All options that decided what was computed.
        metrics: `metrics.json`; empty as long as the run is not finished.
    """

    def __init__(self, path: str | Path) -> None:
        self._folder = RunFolder(path)
        self.path = self._folder.path
        self.options = self._folder.read_options()
        self.metrics: Mapping[str, Any] = self._folder.read_metrics() if self._folder.metrics.exists() else {}

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def title(self) -> str:
        """What ran, the code length and the seed."""
        return f"{self.method}, {self.bits} bits, seed {self.options.get('seed')}"

    @property
    def method(self) -> str:
        """What ran: the strategy, the architecture or the network."""
        searchable = self.network == "AudioVisualNetwork"
        return self.strategy or (Path(self.options.get("space", "full")).stem if searchable else self.network)

    @property
    def bits(self) -> int:
        """Code length q."""
        return int(self.options["bits"])

    @property
    def network(self) -> str:
        """Name of the network's class."""
        return str(self.metrics.get("network") or _last(self.options.get("network"), "network"))

    @property
    def strategy(self) -> str | None:
        """Name of the strategy's class; None where nothing was searched."""
        if self.metrics:
            found = self.metrics.get("strategy")
            return None if found is None else str(found)
        searched = self.space is not None and bool(self.space.choices) and self.network == "AudioVisualNetwork"
        return _last(self.options.get("strategy"), "strategy") if searched else None

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """What is not there, in whole sentences."""
        found = []
        if not self.metrics:
            found.append("The run is not finished: there are no scores on test.")
        if self.strategy is not None and self.architecture is None:
            found.append("The search is not finished: no architecture is chosen yet.")
        if self.architecture is not None and not (self.epochs("finetune") or self.metrics):
            found.append("Fine-tuning has not begun.")
        if self.metrics and not self.curves:
            found.append("curves.json is missing: there are no curves of precision and recall.")
        if self.metrics and not self._codes_file("query").exists():
            found.append("The folder codes/ is missing: what is drawn from the test's codes is left out.")
        return tuple(found)

    def epochs(self, stage: Literal["search", "finetune"]) -> list[Row]:
        """The rows of a stage's epochs.csv; of a candidate that was trained alone and chosen, those of its training."""
        file = self._folder.stage(stage) / "epochs.csv"
        if stage == "finetune" and not file.exists() and self.architecture is not None:
            file = self._folder.stage(f"candidates/{short_name(self.architecture)}") / "epochs.csv"
        if not file.exists():
            return []
        with file.open(newline="", encoding="utf-8") as stream:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(stream)]

    @cached_property
    def kept_epoch(self) -> int | None:
        """The epoch of the search whose state was kept, from 0."""
        done = self._folder.stage("search") / "done.json"
        return int(read_json(done)["best"]["epoch"]) if done.exists() else None

    @cached_property
    def choices(self) -> dict[int, Probabilities]:
        """How probable each candidate was, by epoch; empty if the strategy knows no probabilities."""
        file = existing(self._folder.stage("search") / "probabilities.csv")
        return read_probabilities(file) if file.exists() else {}

    @cached_property
    def evaluations(self) -> tuple[EvaluatedArchitecture, ...]:
        """The architectures that were scored after the supernet was trained."""
        file = existing(self._folder.stage("search") / "evaluations.csv")
        return read_evaluations(file) if file.exists() else ()

    @cached_property
    def architecture(self) -> Architecture | None:
        """What was chosen, or the network that was trained if there was nothing to choose; None for other networks."""
        if self._folder.architecture.exists():
            return Architecture.load(self._folder.architecture)
        return self.space.only() if self.space is not None and not self.space.choices else None

    @cached_property
    def space(self) -> SearchSpace | None:
        """What was searched; None for other networks, and where the space was a file that is no longer there."""
        if self.network != "AudioVisualNetwork":
            return None
        try:
            return load_space(self.options.get("space", "full"))
        except AvnasError:
            return None

    @cached_property
    def certainty(self) -> tuple[dict[str, float], str]:
        """How sure the choice of each cell was, in [0, 1], and what that means.

        The probability of the chosen candidate in the kept epoch; of a strategy without probabilities that had many
        architectures scored, the share of the best that have it. Empty where neither is known.
        """
        if self.architecture is None:
            return {}, ""
        if self.choices:
            kept = self.kept_epoch if self.kept_epoch is not None else max(self.choices)
            found = self.choices.get(kept, {})
            known = {cell: found[cell][name] for cell, name in self.architecture.items() if name in found.get(cell, {})}
            return known, "its probability in the epoch whose state was kept"
        if len(self.evaluations) < 2 * BEST:
            return {}, ""
        best = sorted(self.evaluations, key=lambda each: -each.score)[:BEST]
        shares = {
            cell: sum(each.architecture[cell] == name for each in best) / BEST
            for cell, name in self.architecture.items()
        }
        return shares, f"the share of the {BEST} best architectures scored that have it"

    @cached_property
    def design(self) -> Design | None:
        """What was chosen, for drawing; None as long as nothing is, or where the network is none of cells."""
        if self.architecture is None:
            return None
        expand = 2 if self.space is None else self.space.expand
        return Design(self.title, self.architecture, expand, self.options.get("bits"), *self.certainty)

    @cached_property
    def curves(self) -> Mapping[str, Any]:
        """`curves.json`; empty as long as there is none."""
        file = self.path / "curves.json"
        return read_json(file) if file.exists() else {}

    def codes(self, role: Literal["query", "database"]) -> CodeSet | None:
        """The codes that the test scored."""
        file = self._codes_file(role)
        return CodeSet.load(file) if file.exists() else None

    def _codes_file(self, role: str) -> Path:
        return self._folder.codes / f"{role}.npz"


def _last(option: Any, fallback: str) -> str:
    """The class's name of an option that names a class."""
    path = option.get("class_path", fallback) if isinstance(option, Mapping) else option or fallback
    return str(path).rpartition(".")[2]
