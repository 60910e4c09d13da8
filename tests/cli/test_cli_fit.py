"""`avnas fit` and `avnas test` from options to the run folder."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from avhash_nas.code_set import CodeSet
from avhash_nas.data import HashingData
from avhash_nas.networks import HashNetwork
from training.tiny import avnas, epochs_of, metrics_of, scores_of_codes


def test_a_run_leaves_what_the_design_says(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        *("config.yaml", "data.json", "metrics.json", "curves.json", "architecture.json"),
        *("model", "codes", "search", "finetune"),
    }
    assert {path.name for path in (finished / "codes").iterdir()} == {"query.npz", "database.npz"}
    assert {path.name for path in (finished / "model").iterdir()} == {"config.json", "model.safetensors"}
    of_stage = {"best.pt", "done.json", "epochs.csv"}
    for stage, files in (("search", {*of_stage, "probabilities.csv"}), ("finetune", of_stage)):
        assert {path.name for path in (finished / stage).iterdir()} == files
        assert len(epochs_of(finished, stage)) == 2
    assert not list(finished.rglob("*.partial"))
    network = HashNetwork.from_pretrained(finished / "model")
    assert sum(parameter.numel() for parameter in network.parameters()) == metrics_of(finished)["parameters"]


def test_the_codes_left_are_those_that_were_scored(finished: Path, tiny_data: Path) -> None:
    assert scores_of_codes(finished) == metrics_of(finished)["test"]
    data = HashingData(tiny_data).prepare()
    network = HashNetwork.from_pretrained(finished / "model")
    for role, split in (("query", "test"), ("database", "train")):
        codes = CodeSet.load(finished / "codes" / f"{role}.npz")
        rows = data.splits[split]
        assert list(codes.ids) == [data.ids[row] for row in rows]
        assert codes.class_names == data.class_names
        assert codes.labels is not None
        assert (codes.labels == data.labels[rows]).all()
        assert codes.values is not None
        assert (np.packbits(codes.values >= 0, axis=1) == codes.packed).all()
        assert codes.fingerprint == network.fingerprint()
        assert codes.extraction is None


def test_a_run_knows_how_features_are_extracted(
    mlp_config: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(tiny_data, data)
    (data / "extraction.json").write_text('{"steps": 9}')
    assert avnas("fit", "--config", mlp_config, "--data.root", data, "--out", out) == 0
    assert json.loads((out / "model" / "extraction.json").read_text()) == {"steps": 9}
    assert CodeSet.load(out / "codes" / "query.npz").extraction == {"steps": 9}
    shutil.rmtree(out / "codes")  # as runs of older versions
    (out / "model" / "extraction.json").unlink()
    capsys.readouterr()
    assert avnas("test", "--run", out) == 0
    assert f"{metrics_of(out)['test']['map@100']['retrieved']:.4f}" in capsys.readouterr().out


def test_a_finished_run_is_not_touched(finished: Path, tiny_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    same = ("--config", tiny_config, "--search.epochs=2", "--finetune.epochs=2", "--out", finished)
    assert avnas("fit", *same, "--trainer.log_every_n_steps=7") == 0
    assert f"{metrics_of(finished)['test']['map@100']['retrieved']:.4f}" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--finetune.lr=0.5", "finetune.lr was 0.002, now 0.5"),
        ("--strategy.lr=0.5", "strategy.init_args.lr was 0.05, now 0.5"),
        ("--trainer.precision=bf16-mixed", "trainer.precision was not set, now bf16-mixed"),
    ],
)
def test_other_options_are_refused_by_name(
    option: str, expected: str, finished: Path, tiny_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = ("--config", tiny_config, "--search.epochs=2", "--finetune.epochs=2", "--out", finished)
    assert avnas("fit", *same, option) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error
    assert "--overwrite" in error


def test_overwrite_starts_anew_but_only_once_the_options_are_good(mlp_config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert avnas("fit", "--config", mlp_config, "--out", out) == 0
    (out / "old").touch()
    first = metrics_of(out)
    assert avnas("fit", "--config", mlp_config, "--out", out, "--overwrite", "--data.root=nowhere") == 2
    assert metrics_of(out) == first
    assert avnas("fit", "--config", mlp_config, "--out", out, "--overwrite", "--seed=1") == 0
    assert metrics_of(out)["seed"] == 1
    assert yaml.safe_load((out / "config.yaml").read_text())["seed"] == 1
    assert not (out / "old").exists()


def test_out_that_is_a_file_or_no_run(mlp_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    for out, expected in ((file, "this is a file"), (folder, "holds no run")):
        for more in ((), ("--overwrite",)):
            assert avnas("fit", "--config", mlp_config, "--out", out, *more) == 2
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert expected in error
    assert file.read_text() == (folder / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_out_that_is_read_only(mlp_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    assert avnas("fit", "--config", mlp_config, "--out", folder / "run") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_network_without_choices_is_not_searched(
    mlp_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "run") == 0
    printed = capsys.readouterr().out
    assert "supernet" not in printed
    assert "fine-tuned" in printed
    metrics = metrics_of(tmp_path / "run")
    assert metrics["strategy"] is None
    assert not {"supernet", "derived"} & set(metrics)
    assert not (tmp_path / "run" / "search").exists()
    assert not (tmp_path / "run" / "architecture.json").exists()


def test_a_preset_architecture_skips_the_search(tiny_config: Path, tmp_path: Path) -> None:
    options = ("--space=arch-1", "--finetune.epochs=1", "--finetune.patience=0")
    assert avnas("fit", "--config", tiny_config, "--out", tmp_path / "run", *options) == 0
    assert metrics_of(tmp_path / "run")["strategy"] is None
    assert not (tmp_path / "run" / "search").exists()


def test_from_scratch_starts_from_other_weights(finished: Path, tiny_config: Path, tmp_path: Path) -> None:
    same = ("--config", tiny_config, "--search.epochs=2", "--finetune.epochs=2")
    assert avnas("fit", *same, "--out", tmp_path / "fresh", "--from-scratch") == 0
    fresh = tmp_path / "fresh"
    assert (fresh / "architecture.json").read_bytes() == (finished / "architecture.json").read_bytes()
    assert epochs_of(fresh, "search") == epochs_of(finished, "search")
    inherited, scratch = (epochs_of(run, "finetune")[0] for run in (finished, fresh))
    assert inherited["train/loss"] != scratch["train/loss"]


def test_test_prints_the_figures_of_fit(finished: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = metrics_of(finished)
    for more in ((), ("--data.root", tiny_data)):
        assert avnas("test", "--run", finished, "--accelerator=cpu", *more) == 0
        printed = capsys.readouterr().out
        for kind in ("retrieved", "standard"):
            assert f"{metrics['test']['map@100'][kind]:.4f}" in printed
        assert f"{metrics['random_projection']['map@100']['retrieved']:.4f}" in printed


def test_test_refuses_data_of_other_widths(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from avhash_nas.data import write_synthetic

    other = write_synthetic(tmp_path / "other", classes=4, train=10, val=4, test=4, visual_dim=7, audio_dim=6, frames=9)
    assert avnas("test", "--run", finished, "--data.root", other) == 2
    error = capsys.readouterr().err
    assert "width 7 and 6" in error
    assert error.count("\n") == 1


def test_max_time_ends_a_stage_early(mlp_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--finetune.epochs=100000", "--trainer.max_time=00:00:00:01")
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "run", *options) == 0
    assert 0 < metrics_of(tmp_path / "run")["epochs"]["finetune"] < 100_000
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "none", "--trainer.max_time=00:00:00:00") == 2
    assert "before any epoch was scored" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_other_precisions_run(precision: str, mlp_config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert avnas("fit", "--config", mlp_config, "--out", out, f"--trainer.precision={precision}") == 0
    assert yaml.safe_load((out / "config.yaml").read_text())["trainer"] == {"precision": precision}


def test_the_search_runs_in_mixed_precision(tiny_config: Path, tmp_path: Path) -> None:
    options = ("--search.epochs=1", "--finetune.epochs=1", "--trainer.precision=bf16-mixed")
    assert avnas("fit", "--config", tiny_config, "--out", tmp_path / "run", *options) == 0
    weights = torch.load(tmp_path / "run" / "search" / "best.pt", weights_only=True)["network"]
    assert {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()} == {torch.float32}


def test_wandb_offline_keeps_its_id(mlp_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    out = tmp_path / "run"
    fit = ("fit", "--config", mlp_config, "--out", out, "--logger=wandb")
    assert avnas(*fit, "--trainer.max_time=00:00:00:00") == 2
    wandb.finish()
    assert avnas(*fit, "--page=true") == 0
    wandb.finish()
    shown = {path.name.partition("_")[0] for path in (out / "wandb").rglob("media/images/report/*.png")}
    assert shown == {path.stem for path in (out / "report").glob("*.png")} >= {"curves", "codes-0", "embedding"}
    runs = list((out / "wandb").glob("offline-run-*"))
    assert len(runs) >= 1
    assert len({path.name.rpartition("-")[2] for path in runs}) == 1


def test_tensorboard_writes_events(mlp_config: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "run", "--logger=tensorboard") == 0
    assert list((tmp_path / "run" / "tensorboard" / "finetune").glob("events.out.tfevents.*"))


def test_metrics_have_the_schema_of_the_run_folder(finished: Path) -> None:
    metrics = metrics_of(finished)
    kinds = {"retrieved", "standard", "k"}
    assert metrics["strategy"] == "AVNAS"
    assert (metrics["bits"], metrics["seed"]) == (16, 0)
    for section in ("test", "val", "supernet", "derived", "chance", "random_projection"):
        assert set(metrics[section]["map@100"]) == kinds, section
        assert all(0 <= value <= 1 for value in metrics[section]["map@100"].values())
    assert {f"map@{k}" for k in (5, 20, 100)} <= set(metrics["test"])
    assert set(metrics["time"]) == {"supernet_epoch_s", "search_s", "train_epoch_s", "inference_12500_s"}
    assert metrics["time"].pop("search_s") == 0  # its choice takes no scoring
    assert all(value > 0 for value in metrics["time"].values()), metrics["time"]
    assert metrics["search"] == {}
    assert {"python", "torch", "lightning", "avhash-nas"} <= set(metrics["versions"])
    assert metrics["epochs"] == {
        "finetune": 2,
        "best": metrics["epochs"]["best"],
        "search": 2,
        "search_best": metrics["epochs"]["search_best"],
    }
    assert metrics["epochs"]["best"] in (0, 1)


def test_the_scores_are_those_of_the_best_epochs(finished: Path) -> None:
    metrics = metrics_of(finished)
    for stage, name, best, logged in (
        ("search", "supernet", "search_best", "val/supernet/map@100_retrieved"),
        ("finetune", "val", "best", "val/map@100_retrieved"),
    ):
        scores = [float(row[logged]) for row in epochs_of(finished, stage)]
        assert metrics["epochs"][best] == scores.index(max(scores))
        assert metrics[name]["map@100"]["retrieved"] == max(scores)


def test_curves(finished: Path) -> None:
    curves = json.loads((finished / "curves.json").read_text())
    flat = json.dumps(curves)
    assert "NaN" not in flat
    assert {"precision", "recall"} <= set(flat.replace('"', " ").replace("_", " ").split())
