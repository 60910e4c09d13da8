"""A run knows the data that it saw: what commands do once they have changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from avhash_nas.results import RunRecord
from training.tiny import avnas, metrics_of

Fit = Callable[..., int]


@pytest.fixture
def root(tiny_data: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_data, tmp_path / "data")


@pytest.fixture
def fit(mlp_config: Path, root: Path, tmp_path: Path) -> Fit:
    return lambda *more: avnas("fit", "--config", mlp_config, "--data.root", root, "--out", tmp_path / "run", *more)


def swap_labels(root: Path) -> None:
    """Correct the labels of the test list: classes 0 and 1 change places."""
    lines = (root / "test.txt").read_text().split()
    swapped = {"0": "1", "1": "0"}
    pairs = (line.split(",") for line in lines)
    (root / "test.txt").write_text("".join(f"{name},{swapped.get(label, label)}\n" for name, label in pairs))


def test_a_finished_run_refuses_other_data_and_test_says_so(
    fit: Fit, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert fit() == 0
    assert fit() == 0
    before = metrics_of(out)
    swap_labels(root)
    capsys.readouterr()
    assert fit() == 2
    captured = capsys.readouterr()
    assert "split test has other labels" in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert metrics_of(out) == before

    assert avnas("test", "--run", out, "--accelerator=cpu") == 0
    assert "other data than the run saw: split test has other labels" in " ".join(capsys.readouterr().out.split())
    assert avnas("test", "--run", out, "--accelerator=cpu", "--rerank=values") == 0
    assert "are of other data: now split test has other labels" in capsys.readouterr().err

    assert fit("--overwrite") == 0
    assert metrics_of(out)["data"] != before["data"]
    assert fit() == 0


def test_a_stopped_run_does_not_go_on_with_other_data(
    fit: Fit, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = (root / "test.txt").read_text()
    assert fit("--trainer.max_time=00:00:00:00") == 2
    assert (tmp_path / "run" / "data.json").exists()
    swap_labels(root)
    capsys.readouterr()
    assert fit() == 2
    assert "this run saw other data: now split test has other labels" in capsys.readouterr().err
    assert not (tmp_path / "run" / "metrics.json").exists()
    (root / "test.txt").write_text(original)
    assert fit() == 0


def test_the_data_may_be_gone_once_a_run_is_finished(
    fit: Fit, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit() == 0
    root.rename(tmp_path / "elsewhere")
    capsys.readouterr()
    assert fit() == 0
    captured = capsys.readouterr()
    assert "not compared with the data" in captured.err
    assert "mAP@100" in captured.out


def test_a_run_of_an_earlier_version_stays_readable(fit: Fit, root: Path, tmp_path: Path) -> None:
    assert fit() == 0
    (tmp_path / "run" / "data.json").unlink()
    swap_labels(root)
    assert fit() == 0
    assert avnas("test", "--run", tmp_path / "run", "--accelerator=cpu") == 0
    assert not RunRecord(tmp_path / "run").missing


def test_a_comparison_refuses_runs_of_other_data_and_tables_name_the_data(
    mlp_config: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = {"entries": [{"name": "mlp", "recipes": [str(mlp_config)]}], "seeds": [0], "bits": [16], "page": False}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan | {"out": str(tmp_path / "out")}))
    run = tmp_path / "out" / "mlp-16-0"
    compare = ("compare", "--config", tmp_path / "plan.yaml", "--data.root", root)
    options = ("--bits=16", "--data.root", root, "--page=true")
    assert avnas("fit", "--config", mlp_config, *options, "--out", run) == 0
    assert avnas(*compare) == 0
    data = metrics_of(run)["data"]
    for file in (tmp_path / "out" / "comparison.md", run / "report" / "index.html"):
        assert f"Fingerprint of the data: {data}." in file.read_text()
    swap_labels(root)
    capsys.readouterr()
    assert avnas(*compare) == 2
    assert f"{run}: this run saw other data: now split test has other labels" in capsys.readouterr().err
    assert avnas(*compare, "--tables-only") == 0
