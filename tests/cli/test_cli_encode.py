"""`avnas encode` from options to the file of codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.code_set import CodeSet
from avhash_nas.extraction import ColorGradients, Extraction, LogMel, VideoFeatures
from avhash_nas.networks import HashNetwork
from avhash_nas.training import HashingModule
from media.make import make_video
from training.tiny import avnas


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    MeanPoolMLP(8, 6, 16, hidden=8).save_pretrained(folder)
    return folder


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_run_knows_its_data(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "codes.npz"
    assert avnas("encode", "--run", finished, "--split=test", "--batch_size=5", "--out", out) == 0
    codes, kept = CodeSet.load(out), CodeSet.load(finished / "codes" / "query.npz")
    assert codes.ids.tolist() == kept.ids.tolist()
    assert codes.fingerprint == kept.fingerprint
    assert codes.class_names == kept.class_names
    assert codes.values is not None
    assert codes.frames is None
    printed, progress = capsys.readouterr()
    assert f"{out}: 16 videos, 16 bits, labels of 4 classes, network {codes.fingerprint}" in printed
    assert "for 12,500 videos" in printed
    assert "of 256 values" in printed
    assert "encode: 4 of 4 batches" in progress
    assert [path.name for path in out.parent.iterdir()] == ["codes.npz"]


def test_a_model_encodes_any_features_and_keeps_what_is_asked_for(
    model: Path, tiny_data: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "codes.npz"
    given = ("--model", model, "--features", tiny_data, "--cache_dir", tiny_cache, "--out", out)
    assert avnas("encode", *given, "--values=false", "--frames") == 0
    codes = CodeSet.load(out)
    assert len(codes) == 72
    assert codes.values is None
    assert codes.frames is not None
    assert codes.frames.shape == (72, 9, 16)
    assert avnas("encode", *given, "--split=test", "--overwrite") == 0
    assert len(CodeSet.load(out)) == 16


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "give either --run"),
        (("--run={run}", "--model={model}"), "give either --run"),
        (("--run={empty}",), "no run here"),
        (("--model={empty}",), "holds no model"),
        (("--model={model}",), "give --features"),
        (
            ("--model={model}", "--features={data}", "--split=dev"),
            "no list of a split 'dev'; there are train, val",
        ),
        (("--model={model}", "--features={data}", "--batch_size=0"), "batch_size=0"),
        (("--model={model}", "--features={data}", "--devices=0"), "--devices=0"),
        (("--model={model}", "--features={data}", "--precision=12"), "--precision=12"),
        (("--model={model}", "--features={empty}"), "image.h5: no such file"),
        (("--model={model}", "--features={data}", "--out={data}"), "must name a file"),
        (("--model={model}", "--features={data}", "--out={data}/image.h5"), "--overwrite to replace it"),
    ],
)
def test_bad_options_are_one_line(
    options: tuple[str, ...],
    expected: str,
    model: Path,
    finished: Path,
    tiny_data: Path,
    tiny_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = {"run": finished, "model": model, "data": tiny_data, "empty": tmp_path}
    given = [option.format(**named) for option in options]
    assert avnas("encode", f"--out={tmp_path / 'codes.npz'}", "--cache_dir", tiny_cache, *given) == 2
    assert expected in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unfinished_run_says_so(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "metrics.json").unlink()
    assert avnas("encode", "--run", run, "--out", tmp_path / "codes.npz") == 2
    assert "this run is not finished" in error_of(capsys)
    shutil.rmtree(run / "model")
    assert avnas("encode", "--model", run, "--features", run, "--out", tmp_path / "codes.npz") == 2
    assert "this run is not finished" in error_of(capsys)


def described(**visual: Any) -> str:
    audio = {"class": "somewhere.LogMel", "arguments": {"bands": 3}, "weights": ""}
    return json.dumps({"format": 1, "steps": 9, "visual": {"class": "somewhere.CLIP", **visual}, "audio": audio})


def test_features_by_another_extractor_are_refused(
    model: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, data, out = tmp_path / "model", tmp_path / "data", tmp_path / "codes.npz"
    shutil.copytree(model, other)
    shutil.copytree(tiny_data, data)
    (other / "extraction.json").write_text(described(arguments={"checkpoint": "/here"}, weights="a1"))
    (data / "extraction.json").write_text(described(arguments={"checkpoint": "/here"}, weights="b2"))
    given = ("--model", other, "--features", data, "--split=test", "--out", out)
    assert avnas("encode", *given) == 2
    assert "visual features are by CLIP(checkpoint=/here) with weights b2" in error_of(capsys)
    (data / "extraction.json").write_text(described(arguments={"checkpoint": "/there"}, weights="a1"))
    assert avnas("encode", *given) == 0
    assert CodeSet.load(out).extraction == json.loads((data / "extraction.json").read_text())


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_what_was_there(
    signum: int, model: Path, tiny_data: Path, tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "codes.npz"
    out.write_text("old")
    step = HashingModule.predict_step

    def stopped(self: HashingModule, batch: Any, batch_idx: int) -> Tensor:
        if batch_idx == 2:
            os.kill(os.getpid(), signum)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(HashingModule, "predict_step", stopped)
    given = ("--model", model, "--features", tiny_data, "--cache_dir", tiny_cache, "--batch_size=10", "--out", out)
    assert avnas("encode", *given, "--overwrite") == 128 + signum
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["codes.npz"]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for hue in (0.1, 0.6):
        make_video(folder / f"{hue}.mp4", seconds=1, hue=hue, tone=1000 * hue)
    return folder


@pytest.fixture(scope="module")
def trained_on_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tells how videos go in."""
    folder, extraction = tmp_path_factory.mktemp("model"), Extraction(ColorGradients(), LogMel(), steps=3)
    MeanPoolMLP(extraction.visual.dim, extraction.audio.dim, 16, hidden=8).save_pretrained(folder)
    (folder / "extraction.json").write_text(json.dumps(extraction.to_dict()))
    return folder


def test_video_files_become_codes(films: Path, trained_on_films: Path, tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    given = ("--model", trained_on_films, "--videos", films, "--out", out, "--workers=0")
    assert avnas("encode", *given) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["codes.npz"]
    codes = CodeSet.load(out)
    assert codes.ids.tolist() == ["0.1", "0.6"]
    assert codes.extraction is not None
    extraction = Extraction.from_dict(codes.extraction)
    network = HashNetwork.from_pretrained(trained_on_films)
    for number, film in enumerate(codes.ids):
        features = extraction.features(films / f"{film}.mp4")
        inputs = (torch.from_numpy(each)[None] for each in (features.visual, features.audio))
        assert (network.encode(*inputs).numpy() == codes.packed[number]).all()


def test_files_that_give_no_features_are_told_and_the_others_kept(
    films: Path, trained_on_films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some, features = tmp_path / "films", tmp_path / "features"
    shutil.copytree(films, some)
    (some / "0.9.mp4").write_text("no film")
    given = ("--model", trained_on_films, "--videos", some, "--features", features, "--workers=0")
    assert avnas("encode", *given, "--out", tmp_path / "codes.npz") == 1
    assert "files without features: 1" in capsys.readouterr().out
    assert CodeSet.load(tmp_path / "codes.npz").ids.tolist() == ["0.1", "0.6"]
    (some / "0.9.mp4").unlink()
    assert avnas("encode", *given, "--out", tmp_path / "again.npz") == 0
    assert "2 videos, 0 of them new" in capsys.readouterr().out
    for film in films.iterdir():
        (some / film.name).write_text("no film either")
    assert avnas("encode", *given[:4], "--out", tmp_path / "none.npz", "--workers=0") == 2
    assert "no file in it gave features" in capsys.readouterr().err


def test_stopped_while_extracting_the_same_command_goes_on(
    films: Path, trained_on_films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    features = Extraction.features

    def stopped(self: Extraction, path: Path, *arguments: Any) -> VideoFeatures:
        seen.append(path.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return features(self, path, *arguments)

    monkeypatch.setattr(Extraction, "features", stopped)
    given = ("--model", trained_on_films, "--videos", films, "--out", tmp_path / "codes.npz", "--workers=0")
    assert avnas("encode", *given) == 130
    assert not (tmp_path / "codes.npz").exists()
    assert avnas("encode", *given) == 0
    assert seen == ["0.1.mp4", "0.6.mp4", "0.6.mp4"]
    assert [path.name for path in tmp_path.iterdir()] == ["codes.npz"]


def test_extractors_are_the_models_own_or_named(
    model: Path, films: Path, trained_on_films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--videos", films, "--out", tmp_path / "codes.npz", "--workers=0")
    weightless = ("--visual=color_gradients", "--audio=log_mel")
    for options, expected in (
        (("--model", model), "name the extractors by --visual and --audio"),
        (("--model", model, weightless[0]), "name both extractors"),
        (("--model", model, *weightless), "the network takes visual features of width 8"),
        (("--model", trained_on_films, *weightless, "--audio.bands=7"), "audio features are by LogMel(bands=7"),
        (("--model", trained_on_films, "--split=test"), "--split: videos have none"),
    ):
        assert avnas("encode", *given, *options) == 2
        assert expected in error_of(capsys)
        assert not list(tmp_path.iterdir())
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(trained_on_films / name, tmp_path / "model")
    assert avnas("encode", *given, "--model", tmp_path / "model", *weightless) == 0
    assert CodeSet.load(tmp_path / "codes.npz").extraction == Extraction(ColorGradients(), LogMel()).to_dict()


@pytest.mark.slow
def test_two_processes_write_one_file(finished: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "avhash_nas",
        "encode",
        "--run",
        str(finished),
        "--accelerator=cpu",
        "--batch_size=5",
    ]
    for devices in ("1", "2"):
        out = tmp_path / f"{devices}.npz"
        done = subprocess.run(
            [*command, f"--devices={devices}", "--out", str(out)],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        assert done.stdout.count("for 12,500 videos") == 1
        assert f"on {devices} x cpu" in done.stdout
    one, two = (CodeSet.load(tmp_path / f"{devices}.npz") for devices in "12")
    assert one.ids.tolist() == two.ids.tolist()
    assert one.notes["near_zero"]["values"] == 0  # as with nearly every network of this size
    assert (one.packed == two.packed).all()
