"""`avnas compare` from YAML to tables; its runs call `avnas fit` in this process, except in a slow test."""

import csv
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from avhash_nas.cli import compare
from avhash_nas.comparison import Job
from avhash_nas.pipeline.evaluator import short_name
from avhash_nas.results import kendall_tau
from avhash_nas.space import Architecture, SearchSpace, load_space
from training.tiny import avnas, metrics_of, tiny_options

Started = list[str]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Names of the runs that the comparison starts, in this process."""
    names: Started = []

    def run(jobs: Sequence[Job], at_once: int) -> dict[str, str]:
        names.extend(job.name for job in jobs)
        assert all(job.command[:4] == (sys.executable, "-m", "avhash_nas", "fit") for job in jobs)
        return {job.name: "it failed" for job in jobs if avnas(*job.command[3:]) != 0}

    monkeypatch.setattr(compare, "run_jobs", run)
    return names


@pytest.fixture
def plain(tmp_path: Path, tiny_data: Path, tiny_cache: Path) -> dict[str, Any]:
    """A fast comparison: MLPs of two widths."""
    common = {
        name: value for name, value in tiny_options(tiny_data, tiny_cache).items() if name in ("data", "finetune")
    }
    common["finetune"]["epochs"] = 1
    return {
        "out": str(tmp_path / "out"),
        "seeds": [0],
        "bits": [16],
        "page": False,
        "options": {
            **common,
            "network": {"class_path": "avhash_nas.baselines.MeanPoolMLP", "init_args": {"hidden": 4}},
        },
        "entries": [{"name": "narrow"}, {"name": "wide", "options": {"network": {"init_args": {"hidden": 8}}}}],
    }


def write(folder: Path, comparison: dict[str, Any]) -> Path:
    file = folder / "compare.yaml"
    file.write_text(yaml.safe_dump(comparison))
    return file


def three_architectures(folder: Path) -> Path:
    counts = {"visual.U1": 3}
    cells = {cell.name: list(cell.candidates[: counts.get(cell.name, 1)]) for cell in load_space("full").cells}
    file = folder / "three.json"
    file.write_text(json.dumps({"expand": 2, "cells": cells}))
    return file


def every(space: SearchSpace) -> list[Architecture]:
    ranges = (range(len(cell.candidates)) for cell in space.cells)
    return [space.architecture(dict(zip([c.name for c in space.cells], each))) for each in itertools.product(*ranges)]


def contents(out: Path) -> dict[Path, int]:
    """Files of the runs, with modification times."""
    kept = (".json", ".pt", ".safetensors", ".csv")
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in kept and path.parent != out}


def test_comparison_of_strategies_with_a_ranking(
    tmp_path: Path, tiny_data: Path, tiny_cache: Path, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tiny_options(tiny_data, tiny_cache)
    del given["bits"]
    given["strategy"]["init_args"]["select"] = "derived"
    given["search"]["epochs"] = given["finetune"]["epochs"] = 1
    space, out = three_architectures(tmp_path), tmp_path / "out"
    entries = [{"name": "avnas", "label": "AV-NAS"}, {"name": "visual", "options": {"space": "arch_1_visual"}}]
    file = write(
        tmp_path,
        {
            **{"out": str(out), "seeds": [1], "bits": [16], "entries": entries},
            "options": {**given, "space": str(space)},
            "ranking": {"space": str(space), "architectures": 3},
        },
    )
    assert avnas("compare", "--config", file) == 0
    names = sorted(map(short_name, every(load_space(space))))
    assert sorted(started) == sorted(["avnas-16-1", "visual-16-1", *(f"alone/{name}-16-1" for name in names)])

    metrics = metrics_of(out / "avnas-16-1")
    chosen = short_name(Architecture.load(out / "avnas-16-1" / "architecture.json"))
    alone = {name: metrics_of(out / "alone" / f"{name}-16-1")["val"]["map@100"]["retrieved"] for name in names}
    supernet = json.loads((out / "avnas-16-1.scores.json").read_text())
    assert supernet[chosen] == pytest.approx(metrics["derived"]["map@100"]["retrieved"])  # by the state that was kept
    with (out / "comparison-runs.csv").open() as table:
        rows = {row["entry"]: row for row in csv.DictReader(table)}
    tau = kendall_tau([supernet[name] for name in names], [alone[name] for name in names])
    assert float(rows["avnas"]["tau"]) == pytest.approx(tau)
    assert float(rows["avnas"]["regret"]) == pytest.approx(max(alone.values()) - alone[chosen])
    assert float(rows["avnas"]["test_retrieved"]) == metrics["test"]["map@100"]["retrieved"]
    assert (rows["visual"]["tau"], rows["visual"]["supernet_val"]) == ("", "")

    text, before = (out / "comparison.md").read_text(), contents(out)
    started.clear()
    for more in ((), ("--tables-only",)):
        capsys.readouterr()
        assert avnas("compare", "--config", file, "--page=false", *more) == 0
        assert f"{metrics['test']['map@100']['retrieved']:.4f}" in capsys.readouterr().out
    assert started == []
    assert (out / "comparison.md").read_text() == text
    assert contents(out) == before


def test_failed_run_is_listed_and_retried(
    plain: dict[str, Any], tmp_path: Path, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(plain["out"])
    (out / "wide-16-0").mkdir(parents=True)
    (out / "wide-16-0" / "mine.txt").write_text("mine")
    file = write(tmp_path, plain)
    assert avnas("compare", "--config", file) == 1
    assert started == ["narrow-16-0", "wide-16-0"]
    assert "| wide-16-0 | it failed |" in (out / "comparison.md").read_text()
    (out / "wide-16-0" / "mine.txt").unlink()
    assert avnas("compare", "--config", file) == 0
    assert started == ["narrow-16-0", "wide-16-0", "wide-16-0"]
    assert "it failed" not in (out / "comparison.md").read_text()


def test_tables_only_starts_no_runs(
    plain: dict[str, Any], tmp_path: Path, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, plain)
    assert avnas("compare", "--config", file, "--tables-only") == 1
    (Path(plain["out"]) / "narrow-16-0.log").write_text("Traceback\nRuntimeError: out of memory\n")
    assert avnas("compare", "--config", file, "--tables-only") == 1
    printed = capsys.readouterr().out
    assert "not started" in printed
    assert "RuntimeError: out of memory" in printed
    assert started == []


def test_fit_options_on_the_command_line_override_all_others(
    plain: dict[str, Any], tmp_path: Path, started: Started
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("finetune: {lr: 0.5}\ndata: {eval_batch_size: 3}\nnetwork: {init_args: {hidden: 5}}\n")
    plain["entries"][0]["recipes"] = [str(recipe)]
    more = ("--finetune.lr", "0.25", "--trainer.limit_val_batches=1", "--seeds=[3]")
    assert avnas("compare", "--config", write(tmp_path, plain), *more) == 0
    configs = {name: yaml.safe_load((tmp_path / "out" / f"{name}-16-3" / "config.yaml").read_text()) for name in NAMES}
    assert [configs[name]["finetune"]["lr"] for name in NAMES] == [0.25, 0.25]
    assert [configs[name]["trainer"] for name in NAMES] == [{"limit_val_batches": 1}] * 2
    assert [configs[name]["network"]["init_args"]["hidden"] for name in NAMES] == [5, 8]
    assert [configs[name]["data"]["eval_batch_size"] for name in NAMES] == [3, 256]


NAMES = ("narrow", "wide")


def test_run_with_other_options_is_rejected(
    plain: dict[str, Any], tmp_path: Path, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, plain)
    assert avnas("compare", "--config", file) == 0
    for more in ((), ("--tables-only",)):
        assert avnas("compare", "--config", file, "--finetune.lr=0.5", *more) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert "narrow-16-0: holds a run with other options (finetune.lr was 0.002, now 0.5)" in error


def wrong_budget(comparison: dict[str, Any]) -> None:
    comparison["entries"][1]["options"] = {"finetune": {"epochs": 2}}


def wrong_batches(comparison: dict[str, Any]) -> None:
    comparison["entries"][1]["options"] = {"data": {"sampling": {"init_args": {"videos": 3}}}}


def wrong_option(comparison: dict[str, Any]) -> None:
    comparison["entries"][1]["options"] = {"finetune": {"epoch": 2}}


def wrong_value(comparison: dict[str, Any]) -> None:
    comparison["entries"][1]["options"] = {"finetune": {"lr": -1}}


def wrong_class(comparison: dict[str, Any]) -> None:
    comparison["entries"][1]["options"] = {"network": "mlpp"}


def wrong_field(comparison: dict[str, Any]) -> None:
    comparison["entries"][1]["lable"] = "Wide"


def wrong_ranking(comparison: dict[str, Any]) -> None:
    comparison["ranking"] = {"space": "arch-1"}


def wrong_data(comparison: dict[str, Any]) -> None:
    comparison["options"]["data"]["root"] = "nowhere"


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (wrong_budget, "wide: finetune.epochs is 2, but 1 in narrow; the runs of a comparison train for equally many"),
        (wrong_batches, "wide: data.sampling is"),
        (wrong_option, "wide: error: "),
        (wrong_value, "wide: --finetune.lr is out of range"),
        (wrong_class, "did you mean 'mlp'?"),
        (wrong_field, "lable"),
        (wrong_ranking, "ranking.architectures is 20, but ranking.space holds only 1"),
        (wrong_data, "nowhere"),
    ],
)
def test_invalid_comparison_is_one_line_before_anything_runs(
    spoil: Any,
    expected: str,
    plain: dict[str, Any],
    tmp_path: Path,
    started: Started,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(plain)
    assert avnas("compare", "--config", write(tmp_path, plain)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("avnas compare")
    assert expected in error
    assert started == []
    assert not Path(plain["out"]).exists()


def test_unequal_budget_is_allowed_if_declared_and_is_shown(
    plain: dict[str, Any], tmp_path: Path, started: Started
) -> None:
    wrong_budget(plain)
    plain["entries"][1]["unequal"] = True
    assert avnas("compare", "--config", write(tmp_path, plain)) == 0
    text = (Path(plain["out"]) / "comparison.md").read_text()
    assert "Budget of narrow: finetune.epochs 1." in text
    assert "Budget of wide: finetune.epochs 2." in text


def test_ranking_requires_equal_training_options(
    tmp_path: Path, tiny_data: Path, tiny_cache: Path, started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tiny_options(tiny_data, tiny_cache)
    del given["bits"]
    space = str(three_architectures(tmp_path))
    entry = {"name": "avnas", "options": {"finetune": {"lr": 0.5}}}
    comparison = {"options": {**given, "space": space}, "entries": [entry], "ranking": {"space": space}}
    comparison["ranking"]["architectures"] = 3
    assert avnas("compare", "--config", write(tmp_path, comparison)) == 2
    assert "avnas: finetune.lr is 0.5, but 0.002 in the comparison; the ranked" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_stop_with_the_comparison_and_resume(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["options"]["finetune"] |= {"epochs": 100, "patience": 0}
    file, out = write(tmp_path, plain), Path(plain["out"])
    command = [sys.executable, "-m", "avhash_nas", "compare", "--config", str(file), "--jobs=2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while not all(list(out.glob(f"{name}-16-0/finetune/last.ckpt")) for name in NAMES):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 128 + signal.SIGTERM
    assert not list(out.glob("*/metrics.json"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(metrics_of(out / f"{name}-16-0")["epochs"]["finetune"] == 100 for name in NAMES)
    assert "epoch 100/100" in (out / "wide-16-0.log").read_text()
