"""`avnas test --rerank`: both rankings side by side, from the codes that the run kept or from new ones."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from avhash_nas.code_set import CodeSet
from avhash_nas.pipeline.run_folder import flatten
from avhash_nas.retrieval import ValueRerank, reranked_scores
from training.tiny import avnas, metrics_of


@pytest.fixture
def detached(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run whose dataset is gone."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    options = yaml.safe_load((run / "config.yaml").read_text())
    options["data"]["root"] = str(tmp_path / "gone")
    (run / "config.yaml").write_text(yaml.safe_dump(options))
    return run


def rows(printed: str) -> list[dict[str, float]]:
    """Figures by measure: by distance alone, and reranked at each depth."""
    lines = [re.sub(r" [+-]0\.\d+", "", line).split("│") for line in printed.splitlines() if "@" in line]
    columns = zip(*((cell.strip() for cell in line) for line in lines), strict=True)
    names, *figures = columns
    return [dict(zip(names, map(float, column), strict=True)) for column in figures]


def figures(scores: dict[str, Any]) -> Any:
    """What `rows` should find, to the digits that are printed."""
    named = {name.replace(".", " "): value for name, value in flatten(scores).items() if "@" in name}
    return pytest.approx(named, abs=1e-4)


def test_the_codes_of_the_run_are_enough(detached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("test", "--run", detached, "--rerank=values", "--rerank.depth=7") == 0
    plain, reranked = rows(capsys.readouterr().out)
    assert avnas("test", "--run", detached, "--rerank=values", "--depths=[1,7]") == 0
    assert rows(capsys.readouterr().out) == [plain, plain, reranked]
    sides = [CodeSet.load(detached / "codes" / f"{role}.npz") for role in ("query", "database")]
    assert plain == figures(metrics_of(detached)["test"])
    assert reranked == figures(reranked_scores(*sides, ValueRerank(7)).to_dict())
    assert reranked != plain


def test_what_the_run_did_not_keep_is_encoded(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("test", "--run", finished, "--rerank=frames", "--accelerator=cpu") == 0
    printed = capsys.readouterr()
    assert "do not have the frames to rerank by" in printed.err
    assert rows(printed.out)[0] == figures(metrics_of(finished)["test"])
    bits = metrics_of(finished)["bits"]
    assert f"keeps {2 * 9 * bits} bytes a video" in printed.out  # float16 of 9 time steps


def test_without_codes_the_data_set_is_needed(detached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("test", "--run", detached, "--rerank=frames") == 2
    assert "gone" in capsys.readouterr().err


def test_another_data_set_is_encoded(
    detached: Path, finished: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert avnas("test", "--run", detached, "--rerank=asymmetric", "--data.root", tiny_data, "--accelerator=cpu") == 0
    encoded = rows(capsys.readouterr().out)
    assert avnas("test", "--run", finished, "--rerank=asymmetric") == 0
    assert rows(capsys.readouterr().out) == encoded


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--rerank=value"], "did you mean 'values'?"),
        (["--rerank.depth=5"], "--rerank=NAME"),
        (["--depths=[5]"], "--rerank=NAME"),
        (["--rerank=values", "--depths=[5,0]"], "depth must be at least 1, got 0"),
        (["--rerank=values", "--rerank.depth=0"], "depth must be at least 1, got 0"),
        (["--rerank=frames", "--rerank.temperature=0"], "temperature must be above 0"),
        (["--rerank=values", "--rerank.temperature=1"], "temperature"),
    ],
)
def test_bad_options_are_one_line(
    finished: Path, options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert avnas("test", "--run", finished, *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error
