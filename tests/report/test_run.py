"""What is read of a run's folder, and what is said of one that is not finished."""

from pathlib import Path

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.pipeline.evaluator import short_name
from avhash_nas.report.run import BEST, RunRecord
from avhash_nas.space import Architecture, load_space
from report.folders import make_run


def test_a_finished_run_tells_all(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run-3", seed=3))
    assert (record.name, record.title, record.strategy) == ("run-3", "AVNAS, 16 bits, seed 3", "AVNAS")
    assert record.architecture == Architecture.load(tmp_path / "run-3" / "architecture.json")
    assert record.space == load_space("full")
    assert (record.kept_epoch, len(record.epochs("search")), len(record.epochs("finetune"))) == (5, 6, 1)
    assert list(record.choices) == list(range(6))
    assert "val/supernet/map@100_retrieved" not in record.epochs("search")[0]
    assert record.missing == (
        "curves.json is missing: there are no curves of precision and recall.",
        "The folder codes/ is missing: what is drawn from the test's codes is left out.",
    )


def test_certainty_is_the_chosen_candidates_probability_in_the_kept_epoch(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run"))
    weights, meaning = record.certainty
    assert meaning == "its probability in the epoch whose state was kept"
    assert record.architecture is not None
    assert weights == {cell: record.choices[5][cell][name] for cell, name in record.architecture.items()}
    assert record.design is not None
    assert record.design.weights == weights


def test_without_probabilities_certainty_is_the_share_of_the_best_that_agree(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run", strategy="SPOS", probable=False, rounds=(12, 12)))
    weights, meaning = record.certainty
    best = sorted(record.evaluations, key=lambda each: each.score)[-BEST:]
    assert record.architecture is not None
    for cell, name in record.architecture.items():
        assert weights[cell] == sum(each.architecture[cell] == name for each in best) / BEST
    assert meaning == "the share of the 10 best architectures scored that have it"
    few = RunRecord(make_run(tmp_path / "few", strategy="RandomSearch", probable=False, epochs=0, rounds=(5,)))
    assert few.certainty == ({}, "")


def test_a_candidate_that_was_trained_alone_has_its_own_epochs(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", strategy="RandomSearch", probable=False, epochs=0, rounds=(2,))
    architecture = Architecture.load(folder / "architecture.json")
    tuned = RunRecord(folder).epochs("finetune")
    (folder / "candidates").mkdir()
    (folder / "finetune").rename(folder / "candidates" / short_name(architecture))
    assert RunRecord(folder).epochs("finetune") == tuned != []


def test_an_unfinished_search_has_what_there_is(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run", finished=False, epochs=2))
    assert record.missing == (
        "The run is not finished: there are no scores on test.",
        "The search is not finished: no architecture is chosen yet.",
    )
    assert (record.strategy, record.architecture, record.design, record.certainty) == ("AVNAS", None, None, ({}, ""))
    assert len(record.choices) == 2
    assert record.epochs("finetune") == []
    assert record.codes("query") is None


def test_a_network_without_choices_is_its_own_architecture(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run", strategy=None, space="arch_2_visual", finished=False))
    assert record.strategy is None
    assert record.architecture == load_space("arch_2_visual").only()
    assert record.title == "arch_2_visual, 16 bits, seed 0"
    assert record.design is not None
    assert record.design.modalities == ("visual",)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvnasError, match=r"no run here \(config\.yaml is missing\)"):
        RunRecord(tmp_path)
