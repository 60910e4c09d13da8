"""Tables and CSV files of a comparison, from the metrics of its runs."""

import csv
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avhash_nas.comparison import Comparison, Entry
from avhash_nas.comparison.paper import DATASETS, paper_rows
from avhash_nas.errors import AvnasError
from avhash_nas.results import ComparisonResults, SearchQuality, comparison_tables, write_tables

DARTS, MLP, RANDOM = Entry("darts", label="DARTS", paper="DARTS"), Entry("mlp"), Entry("random", paper="Random")


def metrics(score: float, *, searched: bool = True) -> dict[str, Any]:
    """What `avnas fit` writes, as far as it is read."""
    of_search = {
        "supernet": {"map@100": {"retrieved": score + 0.1}},
        "derived": {"map@100": {"retrieved": score - 0.1}},
        "search": {"evaluations": 4, "mean": score, "spread": 0.01, "best": score + 0.2},
    }
    times = {"supernet_epoch_s": 66.0, "search_s": 0.0} if searched else {}
    return {
        **(of_search if searched else {}),
        "parameters": 2_345_678,
        "test": {"map@100": {"retrieved": score, "standard": score / 2}},
        "val": {"map@100": {"retrieved": score + 0.05}},
        "time": {"train_epoch_s": 12.0, "inference_12500_s": 0.25, **times},
    }


@pytest.fixture
def results(tmp_path: Path) -> ComparisonResults:
    """DARTS at 64 bits with three seeds and at 32 with one, the MLP not finished."""
    comparison = Comparison([DARTS, MLP, RANDOM], out=str(tmp_path), dataset="activitynet", report="table2")
    scores = {(64, 0): 0.5, (64, 1): 0.6, (64, 2): 0.8, (32, 0): 0.4}
    found = {comparison.run("darts", *point): metrics(score) for point, score in scores.items()}
    return ComparisonResults(comparison, found, problems={"mlp-64-0": "ValueError: no | such thing"})


def rows_of(results: ComparisonResults, title: str) -> dict[str, dict[str, str]]:
    table = next(table for table in comparison_tables(results) if table.title == title)
    return {row[0]: dict(zip(table.columns[1:], row[1:], strict=True)) for row in table.rows}


def test_rows_show_mean_and_sample_deviation_over_finished_seeds(results: ComparisonResults) -> None:
    row = rows_of(results, "mAP@100")["DARTS"]
    spread = statistics.stdev([0.5, 0.6, 0.8])
    assert row["retrieved, 64"] == f"0.633 ± {spread:.3f}"
    assert row["standard, 64"] == f"0.317 ± {spread / 2:.3f}"
    assert row["retrieved, 32"] == "0.4000"
    assert row["seeds"] == "1/3"
    assert row["supernet, val"] == f"0.733 ± {spread:.3f}"
    assert row["derived, val"] == f"0.533 ± {spread:.3f}"
    costs = rows_of(results, "Time and size")["DARTS"]
    assert [costs[name] for name in ("supernet/epoch", "search", "train/epoch", "infer/12.5k", "params (M)")] == [
        *("1m06s", "0", "12s", "0.2s", "2.3")
    ]


def test_published_values_are_below_ours_if_the_dataset_is_the_papers(results: ComparisonResults) -> None:
    rows = rows_of(results, "mAP@100")
    assert list(rows) == ["DARTS", "  paper, line 12", "mlp", "random", "  paper, lines 16-20"]
    assert (rows["  paper, line 12"]["retrieved, 32"], rows["  paper, line 12"]["retrieved, 64"]) == (
        "0.8630",
        "0.8860",
    )
    assert rows["  paper, line 12"]["standard, 64"] == "-"
    five = [0.8562, 0.8880, 0.8071, 0.8554, 0.8573]
    expected = f"{statistics.mean(five):.3f} ± {statistics.stdev(five):.3f}"
    assert rows["  paper, lines 16-20"]["retrieved, 64"] == expected
    assert rows_of(results, "Time and size")["  paper, line 12"]["supernet/epoch"] == "2m17s"
    elsewhere = replace(results, comparison=replace(results.comparison, dataset=None))
    assert list(rows_of(elsewhere, "mAP@100")) == ["DARTS", "mlp", "random"]


def test_published_times_are_shown_only_at_64_bits(results: ComparisonResults) -> None:
    shorter = replace(results, comparison=replace(results.comparison, bits=[32]))
    assert set(rows_of(shorter, "Time and size")["  paper, line 12"].values()) == {"", "-"}
    assert rows_of(shorter, "mAP@100")["  paper, line 12"]["retrieved, 32"] == "0.8630"


def test_unfinished_runs_are_listed_with_the_reason(results: ComparisonResults) -> None:
    assert rows_of(results, "Not finished") == {"mlp-64-0": {"why": "ValueError: no | such thing"}}
    assert set(rows_of(results, "mAP@100")["mlp"].values()) == {"0", "-"}
    write_tables(results)
    text = (Path(results.comparison.out) / "table2.md").read_text()
    assert "| mlp-64-0 | ValueError: no \\| such thing |" in text


def test_unfinished_runs_with_the_same_reason_share_a_row(results: ComparisonResults) -> None:
    many = {f"alone/{number}": "not started" for number in range(5)} | {"darts-64-0": "killed by signal 9"}
    rows = rows_of(replace(results, problems=many), "Not finished")
    assert rows == {
        "alone/0, alone/1, alone/2 and 2 more": {"why": "not started"},
        "darts-64-0": {"why": "killed by signal 9"},
    }


def test_table_of_evaluated_architectures(results: ComparisonResults) -> None:
    row = rows_of(results, "Architectures evaluated by the search")["DARTS"]
    assert row == {"bits": "64", "number": "4", "mean": "0.633", "spread": "0.010", "best": "0.833"}


def test_search_quality_over_several_seeds(results: ComparisonResults) -> None:
    runs = [results.comparison.run("darts", 64, seed) for seed in (0, 1)]
    qualities = dict(zip(runs, [SearchQuality(0.5, 20, 0.6, 0.7), SearchQuality(0.3, 20, 0.8, 0.7)]))
    alone = {(64, 0): {"a": 0.1, "b": 0.2}, (64, 1): {"a": 0.3, "b": 0.2}}
    table = next(
        table
        for table in comparison_tables(replace(results, qualities=qualities, alone=alone))
        if table.title == "Search quality"
    )
    spread = statistics.stdev([0.1, -0.1])
    deviation = statistics.stdev([0.6, 0.8])
    assert table.rows == [
        [
            *("DARTS", "64", "2", f"0.400 ± {deviation:.3f}", f"0.000 ± {spread:.3f}"),
            *(f"0.700 ± {deviation:.3f}", "0.700 ± 0.000", "20"),
        ]
    ]
    assert any("spread by 0.071; tau between two seeds is -1.000" in note for note in table.notes)


def test_csv_files_contain_all_values_and_all_runs(results: ComparisonResults) -> None:
    files = {file.name: list(csv.DictReader(file.open())) for file in write_tables(results) if file.suffix == ".csv"}
    table, runs = files["table2.csv"], files["table2-runs.csv"]
    darts = next(row for row in table if (row["entry"], row["bits"]) == ("darts", "64"))
    assert float(darts["test_retrieved"]) == pytest.approx(0.6333333)
    assert float(darts["test_retrieved_paper"]) == 0.8860
    assert float(darts["parameters_m"]) == pytest.approx(2.345678)
    assert darts["test_standard_paper"] == ""
    assert len(table) == 3 * 2
    assert len(runs) == 3 * 2 * 3
    assert sum(row["finished"] == "True" for row in runs) == 4


def test_published_tables_are_consistent() -> None:
    for dataset, best in zip(DATASETS, ("Arch-1", "Arch-2")):
        assert paper_rows("AV-NAS", dataset)[0].retrieved == paper_rows(best, dataset)[0].retrieved
        for method in ("DARTS", "SPOS", "ProxylessNAS", "ENAS", "Random", "Visual", "Audio", "Arch-1", "Arch-2"):
            for row in paper_rows(method, dataset):
                assert row.line.isdigit()
                assert len(row.at_64) == 5
                assert row.retrieved[32] < row.retrieved[64] < 1
    assert paper_rows("SPOS", "fcvid")[0].at_64 == {
        **{"supernet_epoch_s": 380, "search_s": 144_000, "train_epoch_s": 340, "inference_12500_s": 85},
        "parameters_m": 32.1,
    }
    assert paper_rows("Transformer+", "fcvid")[0].at_64 == {}
    with pytest.raises(AvnasError, match="have no row 'Dart'; they have MCMSH, BTH"):
        paper_rows("Dart", "fcvid")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"entries": []}, "entries: name at least one"),
        ({"entries": [Entry("a"), Entry("a")]}, "entries: one is given twice"),
        ({"seeds": []}, "seeds must hold numbers of at least 0"),
        ({"seeds": [-1]}, "seeds must hold numbers of at least 0"),
        ({"bits": [64, 64]}, "bits: one is given twice"),
        ({"bits": [0]}, "bits must hold numbers of at least 1"),
        ({"options": {"seed": 3}}, "options: `seed` is not an option of a single run here"),
        ({"dataset": "kinetics"}, "dataset must be one of the paper's, activitynet or fcvid, got 'kinetics'"),
        ({"report": "a/b"}, "report names files"),
        ({"entries": [Entry("a", paper="Darts")]}, "the paper's tables have no row 'Darts'"),
    ],
)
def test_invalid_comparison_is_rejected(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(AvnasError, match=expected):
        Comparison(**{"entries": [Entry("a")], **wrong})


@pytest.mark.parametrize("name", ["", "a/b", "../a", "-a", "a b"])
def test_entry_name_must_be_a_valid_folder_name(name: str) -> None:
    with pytest.raises(AvnasError, match="a name starts with a letter"):
        Entry(name)


def test_groups_have_headings(results: ComparisonResults) -> None:
    entries = [replace(DARTS, group="Searched"), replace(MLP, group="Fixed"), replace(RANDOM, group="Fixed")]
    grouped = replace(results, comparison=replace(results.comparison, entries=entries, dataset=None))
    rows = rows_of(grouped, "mAP@100")
    assert list(rows) == ["Searched:", "DARTS", "Fixed:", "mlp", "random"]
    assert set(rows["Fixed:"].values()) == {""}


def test_in_full_adds_a_table_for_each_normalization(results: ComparisonResults) -> None:
    names = ["retrieved", "standard", "k"]
    scores = {f"map@{k}": {name: (k + place) / 1000 for place, name in enumerate(names)} for k in (5, 20, 100)}
    found = {run: {**metrics(0.5), "test": scores} for run in results.metrics}
    full = replace(results, metrics=found, comparison=replace(results.comparison, in_full=True))
    divisors = ["the hits within K (retrieved)", "min(K, relevant) (standard)", "K (k)"]
    for place, divisor in enumerate(divisors):
        row = rows_of(full, f"mAP on test, divided by {divisor}")["DARTS"]
        for k in (5, 20, 100):
            assert row[f"mAP@{k}, 64"] == f"{(k + place) / 1000:.3f} ± 0.000"
    assert "mAP on test, divided by K (k)" not in {table.title for table in comparison_tables(results)}


@pytest.mark.parametrize("grouped", [True, False])
def test_untrained_references_are_last_with_one_value_per_seed(results: ComparisonResults, grouped: bool) -> None:
    """Seed 0 has two runs with 64 bits, whose random projection is the same; chance has no spread."""
    comparison = replace(results.comparison, dataset=None, in_full=True)
    if grouped:
        comparison = replace(comparison, entries=[replace(DARTS, group="Searched"), replace(MLP, group="Fixed")])
    found = {
        run: {**of, "chance": score(0.09), "random_projection": score(0.2 + run.seed / 100)}
        for run, of in (results.metrics | {comparison.run("mlp", 64, 0): metrics(0.9, searched=False)}).items()
    }
    rows = rows_of(replace(results, comparison=comparison, metrics=found), "mAP@100")
    assert list(rows)[-2:] == ["random projection", "chance"]
    assert rows["random projection"]["retrieved, 64"] == "0.210 ± 0.010"
    assert rows["random projection"]["retrieved, 32"] == "0.2000"
    assert rows["random projection"]["supernet, val"] == "-"
    assert rows["chance"]["retrieved, 64"] == "0.090 ± 0.000"
    assert ("Without training:" in rows) == grouped
    assert "chance" not in rows_of(replace(results, comparison=comparison, metrics=found), "Time and size")


def score(value: float) -> dict[str, Any]:
    return {"map@100": {"retrieved": value}}


def test_published_values_have_their_own_table_for_other_datasets(results: ComparisonResults) -> None:
    elsewhere = replace(results, comparison=replace(results.comparison, dataset=None))
    row = rows_of(elsewhere, "Published results")["DARTS (line 12)"]
    assert row["ActivityNet, 32"] == "0.8630"
    assert row["FCVID, 64"] == "0.9199"
    assert row["params (M), FCVID"] == "67.1"
    assert "Published results" not in {table.title for table in comparison_tables(results)}
