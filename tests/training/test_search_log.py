"""What a search leaves for those who want to see how it went."""

import csv
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from avhash_nas import strategies
from avhash_nas.errors import AvnasError
from avhash_nas.space import Architecture, SearchSpace, load_space
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.search_log import (
    EvaluatedArchitecture,
    ProbabilityLog,
    read_evaluations,
    read_probabilities,
    write_evaluations,
)
from training.tiny import SMALL_SEARCHES, epochs_of, metrics_of, space_of

FULL = load_space("full")
PROBABLE = ["AVNAS", "DARTS", "ENAS", "GDAS", "ProxylessNAS"]
SCORED = {"ENAS": "shared", "RandomSearch": "own", "SPOS": "shared", "SharedRandom": "shared"}


@pytest.mark.parametrize("name", PROBABLE)
def test_every_epoch_has_the_probabilities_of_every_candidate(name: str, run_of: Any) -> None:
    choices = read_probabilities(run_of(name) / "search" / "probabilities.csv")
    assert list(choices) == [0, 1]
    known = {cell.name: cell.candidates for cell in space_of(run_of(name)).choices}
    for cells in choices.values():
        assert {cell: tuple(values) for cell, values in cells.items()} == known
        for values in cells.values():
            assert sum(values.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", sorted(set(PROBABLE) - {"ENAS"}))
def test_probabilities_have_the_logged_entropy(name: str, run_of: Any) -> None:
    choices = read_probabilities(run_of(name) / "search" / "probabilities.csv")
    for row in epochs_of(run_of(name), "search"):
        each = [
            -sum(p * math.log(p) for p in values.values() if p) / math.log(len(values))
            for values in choices[int(row["epoch"])].values()
        ]
        assert sum(each) / len(each) == pytest.approx(float(row["architecture/entropy"]), abs=1e-4)


class Stepping(SearchStrategy):
    """Grows more certain each time that it is asked."""

    asked = 0

    def route(self, progress):
        raise NotImplementedError

    def derive(self):
        raise NotImplementedError

    def probabilities(self, progress):
        self.asked += 1
        return {"T": (1 / self.asked, 1 - 1 / self.asked)}


def test_a_row_is_of_the_last_validation_or_of_the_end_of_an_epoch_without(tmp_path: Path) -> None:
    """Also in a search that stopped behind a validation within an epoch and went on from the checkpoint."""
    trainer = SimpleNamespace(
        current_epoch=0, max_epochs=3, num_training_batches=4, sanity_checking=False, is_global_zero=True
    )
    strategy = Stepping()
    strategy.setup_search(SearchSpace((FULL["T"],)), 0)
    choices = ProbabilityLog(tmp_path, strategy)
    choices.on_validation_epoch_end(trainer, None)  # asked 1 time
    choices.on_validation_epoch_end(trainer, None)  # 2 times
    choices.on_train_epoch_end(trainer, None)
    trainer.current_epoch = 1
    choices.on_train_epoch_end(trainer, None)  # 3 times
    trainer.current_epoch = 2
    choices.on_validation_epoch_end(trainer, None)  # 4 times
    again = ProbabilityLog(tmp_path, strategy)
    again.load_state_dict(choices.state_dict())
    again.on_train_epoch_end(trainer, None)
    found = read_probabilities(tmp_path / "probabilities.csv")
    first = FULL["T"].candidates[0]
    assert {epoch: cells["T"][first] for epoch, cells in found.items()} == {0: 0.5, 1: 0.333333, 2: 0.25}


def test_cells_may_become_known_later(tmp_path: Path) -> None:
    trainer = SimpleNamespace(
        current_epoch=0, max_epochs=2, num_training_batches=4, sanity_checking=False, is_global_zero=True
    )
    strategy = Stepping()
    strategy.setup_search(SearchSpace((FULL["T"], FULL["F"])), 0)
    choices = ProbabilityLog(tmp_path, strategy)
    choices.on_train_epoch_end(trainer, None)
    trainer.current_epoch = 1
    strategy.probabilities = lambda progress: {"T": (0.5, 0.5), "F": (0.25, 0.75)}
    choices.on_train_epoch_end(trainer, None)
    assert [list(cells) for cells in read_probabilities(tmp_path / "probabilities.csv").values()] == [["T"], ["T", "F"]]


def test_strategies_without_probabilities_leave_no_file(run_of: Any) -> None:
    assert not (run_of("SPOS") / "search" / "probabilities.csv").exists()


@pytest.mark.parametrize("name", SCORED)
def test_every_architecture_that_was_scored_is_listed(name: str, run_of: Any) -> None:
    run = run_of(name)
    evaluations = read_evaluations(run / "search" / "evaluations.csv")
    report = metrics_of(run)["search"]
    assert {each.weights for each in evaluations} == {SCORED[name]}
    for each in evaluations:
        FULL.check(each.architecture)
    best = max(evaluations, key=lambda each: each.score)
    assert best.architecture == Architecture.load(run / "architecture.json")
    figures = report.get("candidates", report)
    assert len(evaluations) == figures["evaluations"]
    assert best.score == figures["best"]


def test_the_rounds_of_an_evolution_are_its_generations(run_of: Any) -> None:
    evaluations = read_evaluations(run_of("SPOS") / "search" / "evaluations.csv")
    generations = metrics_of(run_of("SPOS"))["search"]["generations"]
    assert len(generations) == SMALL_SEARCHES["SPOS"]["generations"]
    for number, generation in enumerate(generations):
        scores = [each.score for each in evaluations if each.round == number]
        assert len(scores) == generation["evaluations"]
        assert max(scores) == generation["best"]


@pytest.mark.parametrize("name", ["AVNAS", "DARTS", "SPOS"])
def test_learning_rates_of_all_parts_are_logged(name: str, run_of: Any) -> None:
    rows = epochs_of(run_of(name), "search")
    for row in rows:
        assert float(row["lr/head"]) == pytest.approx(2 * float(row["lr"]))
    own = [float(row["lr/architecture"]) for row in rows if "lr/architecture" in row]
    default = getattr(strategies, name)()
    assert own == ([] if name == "SPOS" else pytest.approx([default.lr] * len(rows)))
    assert "lr/architecture" not in epochs_of(run_of(name), "finetune")[0]


def test_scored_architectures_round_trip(tmp_path: Path) -> None:
    evaluations = [
        EvaluatedArchitecture(
            number, weights, 0.1 + number / 3, FULL.architecture(dict.fromkeys((cell.name for cell in FULL.cells), 0))
        )
        for number, weights in enumerate(("shared", "own"))
    ]
    write_evaluations(tmp_path / "evaluations.csv", evaluations)
    assert read_evaluations(tmp_path / "evaluations.csv") == tuple(evaluations)


@pytest.mark.parametrize("read", [read_probabilities, read_evaluations])
def test_another_table_is_refused(read: Any, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([["epoch", "round", "loss"], ["x", "x", "x"]])
    with pytest.raises(AvnasError, match=r"table\.csv: is not a table of"):
        read(file)
    with pytest.raises(AvnasError, match=r"missing\.csv: cannot be read"):
        read(tmp_path / "missing.csv")
