"""`avnas fit` with every strategy, from data to metrics, and stopped while it chooses."""

import json
from pathlib import Path
from typing import Any

import pytest

from avhash_nas import strategies
from avhash_nas.pipeline.evaluator import CachedEvaluator
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.training.stage import Stage
from training.tiny import ALL_STRATEGIES, SMALL_SEARCHES, assert_same_run, epochs_of, fit_with, metrics_of, space_of


@pytest.mark.parametrize("name", ALL_STRATEGIES)
def test_a_run_ends_with_an_architecture_of_the_space_and_its_scores(name: str, run_of: Any) -> None:
    run = run_of(name)
    metrics = metrics_of(run)
    architecture = Architecture.load(run / "architecture.json")
    space_of(run).check(architecture)
    assert metrics["strategy"] == name
    assert {"test", "val", "search"} <= set(metrics)
    if getattr(strategies, name).uses_supernet:
        assert {"supernet", "derived"} <= set(metrics)
        assert metrics["epochs"]["search"] == len(epochs_of(run, "search")) == 2
        assert len(epochs_of(run, "finetune")) == 1
    else:
        assert not (run / "search" / "best.pt").exists()
        assert not (run / "finetune").exists()
        assert len(list((run / "candidates").iterdir())) == SMALL_SEARCHES[name]["count"]
    model = json.loads((run / "model" / "config.json").read_text())
    assert SearchSpace.from_dict(model["arguments"]["space"]).only() == architecture


class Killed(BaseException):
    """What no handler of ours catches."""


@pytest.mark.parametrize("name", ["ENAS", "SPOS", "SharedRandom"])
@pytest.mark.parametrize("at", [0, 1])
def test_killed_while_architectures_are_scored(
    name: str, at: int, run_of: Any, strategies_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first scores are there, or before the last are written (of a single round: before it is)."""
    add, calls = CachedEvaluator._add, []

    def dying(evaluator: CachedEvaluator, waiting: dict[str, Architecture]) -> None:
        calls.append(len(waiting))
        if len(calls) > at:
            raise Killed
        add(evaluator, waiting)

    several = name == "SPOS"
    if at and not several:
        pytest.skip("scores everything in one round")
    with monkeypatch.context() as patch:
        patch.setattr(CachedEvaluator, "_add", dying)
        with pytest.raises(Killed):
            fit_with(strategies_config, name, tmp_path / "run")
    scores = tmp_path / "run" / "search" / "evaluator.json"
    assert scores.exists() == bool(at)
    assert fit_with(strategies_config, name, tmp_path / "run") == 0
    assert_same_run(run_of(name), tmp_path / "run")


def test_killed_between_two_candidates_that_are_trained_alone(
    run_of: Any, strategies_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, trained = Stage._train, []

    def dying(stage: Stage, *arguments: Any) -> None:
        if trained:
            raise Killed
        train(stage, *arguments)
        trained.append(stage.folder)

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "_train", dying)
        with pytest.raises(Killed):
            fit_with(strategies_config, "RandomSearch", tmp_path / "run")
    done = {trained[0] / "done.json": (trained[0] / "done.json").stat().st_mtime_ns}
    assert fit_with(strategies_config, "RandomSearch", tmp_path / "run") == 0
    assert {file: file.stat().st_mtime_ns for file in done} == done
    assert metrics_of(tmp_path / "run")["search"] == metrics_of(run_of("RandomSearch"))["search"]


def test_random_search_tests_the_best_candidate_as_it_was_trained(run_of: Any) -> None:
    run = run_of("RandomSearch")
    metrics = metrics_of(run)
    scores = [each["score"] for each in metrics["search"]["architectures"]]
    assert metrics["val"]["map@100"]["retrieved"] == max(scores) == scores[0]
    assert (
        metrics["search"]["architectures"][0]["cells"]
        == Architecture.load(run / "architecture.json").to_dict()["cells"]
    )
    bests = [json.loads(file.read_text())["best"] for file in (run / "candidates").glob("*/done.json")]
    assert sorted(best["val/map@100_retrieved"] for best in bests) == sorted(scores)


@pytest.mark.parametrize("name", ["SPOS", "SharedRandom", "ENAS"])
def test_what_is_chosen_scored_best(name: str, run_of: Any) -> None:
    run = run_of(name)
    kept = json.loads((run / "search" / "evaluator.json").read_text())
    space = space_of(run)
    chosen = space.indices(Architecture.load(run / "architecture.json"))
    key = "-".join(str(chosen[cell.name]) for cell in space.cells)
    assert kept["scores"][key] == max(kept["scores"].values())
    assert metrics_of(run)["derived"]["map@100"]["retrieved"] == pytest.approx(kept["scores"][key], abs=1e-12)
    assert metrics_of(run)["time"]["search_s"] == kept["seconds"] > 0
