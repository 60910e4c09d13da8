"""Charts of a search show all numbers of the run's files and name what is missing."""

import csv
import math
from pathlib import Path

import pytest

from report.folders import make_run, small_space
from report.text_boxes import outside, overlapping

pytest.importorskip("matplotlib")

from avhash_nas.report import Picture, svg
from avhash_nas.report.learning_curves import PANELS
from avhash_nas.report.probabilities import draw_probabilities
from avhash_nas.report.run_page import search_pictures
from avhash_nas.results import RunRecord
from avhash_nas.space import load_space

PHASES = [
    {"epoch": float(epoch), "reward": -4.0 + epoch, "best": -3.0 + epoch, "baseline": -4.5 + epoch, "entropy": 20.0}
    for epoch in (1, 2, 3)
]


def drawn(run: Path) -> dict[str, Picture]:
    return {picture.name: picture for picture in search_pictures(RunRecord(run))[0]}


def file_rows(run: Path, name: str) -> list[dict[str, str]]:
    with (run / "search" / name).open() as file:
        return list(csv.DictReader(file))


def points(picture: Picture, panel: str, line: str) -> list[tuple[int, float]]:
    series = picture.data["panels"][panel][line]
    return list(zip(series["epoch"], series["value"], strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with everything that can be drawn."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return make_run(folder, strategy="ENAS", rounds=(5, 4, 6), report={"phases": PHASES})


@pytest.fixture(scope="module")
def pictures(run: Path) -> dict[str, Picture]:
    return drawn(run)


def test_all_results_are_drawn(run: Path, pictures: dict[str, Picture]) -> None:
    assert list(pictures) == [
        *("search-learning-curves", "search-probabilities", "search-scored", "search-shares", "search-finetune"),
    ]
    again, missing = search_pictures(RunRecord(run), "a")
    assert missing == []
    assert all(picture.name.startswith("a-") for picture in again)


@pytest.mark.parametrize(
    ("panel", "line", "column"),
    [
        ("Loss", "loss", "train/loss"),
        ("Score on val", "supernet", "val/supernet/map@100_retrieved"),
        ("Score on val", "derived", "val/derived/map@100_retrieved"),
        ("Entropy of the choices", "entropy", "architecture/entropy"),
        ("Skips", "skips", "architecture/skips"),
        ("Learning rates", "body", "lr"),
        ("Learning rates", "head", "lr/head"),
    ],
)
def test_curves_are_the_columns_of_epochs_csv(
    panel: str, line: str, column: str, run: Path, pictures: dict[str, Picture]
) -> None:
    rows = file_rows(run, "epochs.csv")
    expected = [(int(row["epoch"]), float(row[column])) for row in rows if row[column]]
    assert points(pictures["search-learning-curves"], panel, line) == expected
    assert len(expected) == (3 if column.startswith(("val", "arch")) else 6)


def test_gap_is_supernet_minus_derived_score(run: Path, pictures: dict[str, Picture]) -> None:
    gaps = points(pictures["search-learning-curves"], "Discretization gap", "gap")
    rows = [row for row in file_rows(run, "epochs.csv") if row["val/supernet/map@100_retrieved"]]
    scores = [[float(row[f"val/{name}/map@100_retrieved"]) for name in ("supernet", "derived")] for row in rows]
    assert gaps == [(int(row["epoch"]), one - other) for row, (one, other) in zip(rows, scores, strict=True)]


def test_rewards_are_drawn_for_every_phase(pictures: dict[str, Picture]) -> None:
    for name in ("reward", "baseline", "best"):
        assert points(pictures["search-learning-curves"], "Reward", name) == [
            (int(each["epoch"]), each[name]) for each in PHASES
        ]


def test_every_probability_is_drawn(run: Path, pictures: dict[str, Picture]) -> None:
    data = pictures["search-probabilities"].data
    rows = file_rows(run, "probabilities.csv")
    assert data["epoch"] == {cell: [int(row["epoch"]) for row in rows] for cell in data["cells"]}
    assert data["selected"] == 5
    space = load_space("full")
    assert {cell: tuple(lines) for cell, lines in data["cells"].items()} == {
        cell.name: cell.candidates for cell in space.cells
    }
    for cell, lines in data["cells"].items():
        for name, values in lines.items():
            assert values == [float(row[f"{cell}={name}"]) for row in rows]
    lines_drawn = [line for axes in pictures["search-probabilities"].figure.axes for line in axes.lines]
    assert sum(len(line.get_xdata()) == 6 for line in lines_drawn) == sum(len(cell.candidates) for cell in space.cells)


def test_line_of_the_chosen_candidate_is_thick(run: Path, pictures: dict[str, Picture]) -> None:
    record = RunRecord(run)
    cells = list(record.probabilities[0])
    assert record.architecture is not None
    for cell, axes in zip(cells, pictures["search-probabilities"].figure.axes, strict=False):
        series = [line for line in axes.lines if len(line.get_xdata()) == 6]
        thick = [list(line.get_ydata()) for line in series if line.get_linewidth() > 2]
        assert thick == [[record.probabilities[epoch][cell][record.architecture[cell]] for epoch in range(6)]]
        assert axes.get_title().startswith(cell.rpartition(".")[2])


def test_scores_are_drawn_by_generation(run: Path, pictures: dict[str, Picture]) -> None:
    data = pictures["search-scored"].data
    rows = file_rows(run, "evaluations.csv")
    expected = [[float(row["score"]) for row in rows if int(row["round"]) == number] for number in range(3)]
    assert data["scores"] == expected
    assert data["best"] == [max(score for scores in expected[: number + 1] for score in scores) for number in range(3)]


def test_shares_are_relative_counts_in_each_generation(run: Path, pictures: dict[str, Picture]) -> None:
    data, rows = pictures["search-shares"].data, file_rows(run, "evaluations.csv")
    assert data["generation"] == {cell: [0, 1, 2] for cell in data["cells"]}
    for cell, lines in data["cells"].items():
        for name, shares in lines.items():
            taken = [[row[cell] == name for row in rows if int(row["round"]) == number] for number in range(3)]
            assert shares == [sum(each) / len(each) for each in taken]
        assert all(math.isclose(sum(each), 1) for each in zip(*lines.values(), strict=True))


def test_single_round_is_drawn_by_rank(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", strategy="RandomSearch", probable=False, epochs=0, rounds=(4,))
    pictures = drawn(run)
    assert list(pictures) == ["search-scored", "search-finetune"]
    assert pictures["search-scored"].figure.axes[0].get_xlabel() == "rank among those scored"
    assert search_pictures(RunRecord(run))[1] == [
        "There are no search epochs: the run trains no supernet, or has not started to.",
    ]


def test_unfinished_search_is_drawn_so_far(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", finished=False, epochs=1)
    pictures = drawn(run)
    assert list(pictures) == ["search-learning-curves", "search-probabilities"]
    assert set(pictures["search-learning-curves"].data["panels"]) == {"Loss", "Learning rates"}
    assert "thick" not in pictures["search-probabilities"].caption


def test_generations_are_drawn_from_the_metrics_of_old_runs(tmp_path: Path) -> None:
    first, second = {"best": 0.4, "mean": 0.3, "spread": 0.1}, {"best": 0.5, "mean": 0.4, "spread": None}
    report = {"generations": [first, second]}
    run = make_run(tmp_path / "run", strategy="SPOS", probable=False, report=report)
    pictures, missing = search_pictures(RunRecord(run))
    assert pictures[1].data == {"best": [0.4, 0.5], "mean": [0.3, 0.4], "spread": [0.1, 0.0]}
    assert [sentence[:51] for sentence in missing] == ["There are neither candidate probabilities nor evalu"]


def test_run_without_search_has_only_training_curves(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", strategy=None, space="arch_1")
    pictures, missing = search_pictures(RunRecord(run))
    assert [picture.name for picture in pictures] == ["search-finetune"]
    assert missing == []


def test_other_logged_values_get_their_own_panel(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", strategy="Theirs", space=small_space(tmp_path))
    file = run / "search" / "epochs.csv"
    lines = file.read_text().splitlines()
    added = [f"{line},{'architecture/regret' if number == 0 else number / 10}" for number, line in enumerate(lines)]
    file.write_text("\n".join(added) + "\n")
    picture = drawn(run)["search-learning-curves"]
    assert points(picture, "Regret", "regret") == [(number, (number + 1) / 10) for number in range(6)]


@pytest.mark.parametrize("name", ["search-learning-curves", "search-probabilities", "search-scored", "search-shares"])
def test_texts_do_not_overlap_and_axes_are_labeled(name: str, pictures: dict[str, Picture]) -> None:
    figure = pictures[name].figure
    assert outside(figure) == []
    assert overlapping(figure) == []
    if name != "search-probabilities" and name != "search-shares":
        for axes in (axes for axes in figure.axes if axes.axison):
            assert axes.get_xlabel()
            assert axes.get_ylabel()


def test_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", strategy="ENAS", rounds=(3, 2), space=small_space(tmp_path))
    first, again = drawn(run), drawn(run)
    assert len(first) == 5
    for name, picture in first.items():
        assert svg(picture) == svg(again[name]), name


def test_panel_titles_are_unique() -> None:
    assert len({panel.title for panel in PANELS}) == len(PANELS)


def test_each_choice_has_a_panel_of_the_epochs_that_contain_it() -> None:
    first = {"audio.U1": {"skip": 0.25, "silu": 0.75}}
    second = {"T": {"self_attention": 0.5, "self_ssm": 0.5}, "audio.U1": {"skip": 0.5, "silu": 0.5}}
    picture = draw_probabilities({0: first, 1: second}, None)
    assert sum(axes.axison for axes in picture.figure.axes) == 2
    assert picture.data["epoch"] == {"audio.U1": [0, 1], "T": [1]}
    assert outside(picture.figure) == []
