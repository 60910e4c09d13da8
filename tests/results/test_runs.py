"""Reading finished and unfinished run folders."""

from pathlib import Path

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.pipeline.evaluator import short_name
from avhash_nas.report.design import design_of_run
from avhash_nas.results import RunRecord, group_by_method
from avhash_nas.results.runs import BEST
from avhash_nas.space import Architecture, load_space
from report.folders import make_run, make_run_with_curves


def test_finished_run_has_all_results(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run-3", seed=3))
    assert (record.name, record.title, record.strategy) == ("run-3", "AVNAS, 16 bits, seed 3", "AVNAS")
    assert record.architecture == Architecture.load(tmp_path / "run-3" / "architecture.json")
    assert record.space == load_space("full")
    assert (record.selected_epoch, len(record.epochs("search")), len(record.epochs("finetune"))) == (5, 6, 1)
    assert list(record.probabilities) == list(range(6))
    assert "val/supernet/map@100_retrieved" not in record.epochs("search")[0]
    assert record.missing == (
        "curves.json is missing: there are no precision and recall curves.",
        "The folder codes/ is missing: the pictures of codes are left out.",
    )


def test_certainty_is_the_probability_of_the_chosen_candidate(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run"))
    weights, meaning = record.certainty
    assert meaning == "its probability in the selected epoch"
    assert record.architecture is not None
    assert weights == {cell: record.probabilities[5][cell][name] for cell, name in record.architecture.items()}
    assert (design := design_of_run(record)) is not None
    assert design.weights == weights


def test_certainty_without_probabilities_is_the_share_among_the_best(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run", strategy="SPOS", probable=False, rounds=(12, 12)))
    weights, meaning = record.certainty
    best = sorted(record.evaluations, key=lambda each: each.score)[-BEST:]
    assert record.architecture is not None
    for cell, name in record.architecture.items():
        assert weights[cell] == sum(each.architecture[cell] == name for each in best) / BEST
    assert meaning == "its share among the 10 best architectures evaluated"
    few = RunRecord(make_run(tmp_path / "few", strategy="RandomSearch", probable=False, epochs=0, rounds=(5,)))
    assert few.certainty == ({}, "")


def test_chosen_candidate_that_was_trained_alone_has_the_epochs_of_that_training(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", strategy="RandomSearch", probable=False, epochs=0, rounds=(2,))
    architecture = Architecture.load(folder / "architecture.json")
    tuned = RunRecord(folder).epochs("finetune")
    (folder / "candidates").mkdir()
    (folder / "finetune").rename(folder / "candidates" / short_name(architecture))
    assert RunRecord(folder).epochs("finetune") == tuned != []


def test_files_of_earlier_versions_are_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", rounds=(2, 2))
    record = RunRecord(folder)
    expected = record.probabilities, record.evaluations
    (folder / "search" / "probabilities.csv").rename(folder / "search" / "choices.csv")
    (folder / "search" / "evaluations.csv").rename(folder / "search" / "judged.csv")
    old = RunRecord(folder)
    assert (old.probabilities, old.evaluations) == expected
    assert old.probabilities
    assert old.evaluations


def test_unfinished_search_has_partial_results(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run", finished=False, epochs=2))
    assert record.missing == (
        "The run is not finished: there are no scores on test.",
        "The search is not finished: no architecture is chosen yet.",
    )
    assert (record.strategy, record.architecture, design_of_run(record), record.certainty) == (
        "AVNAS",
        None,
        None,
        ({}, ""),
    )
    assert len(record.probabilities) == 2
    assert record.epochs("finetune") == []
    assert record.codes("query") is None


def test_space_without_choices_gives_the_architecture(tmp_path: Path) -> None:
    record = RunRecord(make_run(tmp_path / "run", strategy=None, space="arch_2_visual", finished=False))
    assert record.strategy is None
    assert record.architecture == load_space("arch_2_visual").only()
    assert record.title == "arch_2_visual, 16 bits, seed 0"
    assert (design := design_of_run(record)) is not None
    assert design.modalities == ("visual",)


def test_folder_without_a_run_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(AvnasError, match=r"no run here \(config\.yaml is missing\)"):
        RunRecord(tmp_path)


class TestGroupByMethod:
    def test_seeds_of_a_method_form_a_group(self, tmp_path: Path) -> None:
        records = [
            RunRecord(
                make_run_with_curves(
                    tmp_path / f"{strategy}-{bits}-{seed}", [1], bits=bits, seed=seed, strategy=strategy
                )
            )
            for strategy in ("AVNAS", "DARTS")
            for bits in (32, 64)
            for seed in (0, 1)
        ]
        groups = [(each.label, each.bits, len(each.runs)) for each in group_by_method(records)]
        assert groups == [("AVNAS", 32, 2), ("AVNAS", 64, 2), ("DARTS", 32, 2), ("DARTS", 64, 2)]

    def test_runs_with_equal_seeds_stay_apart(self, tmp_path: Path) -> None:
        records = [RunRecord(make_run_with_curves(tmp_path / name, [1])) for name in ("one", "two")]
        assert [each.label for each in group_by_method(records)] == ["MeanPoolMLP (one)", "MeanPoolMLP (two)"]
