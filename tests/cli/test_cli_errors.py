"""Every mistake of a user gives one line, exit code 2, and leaves nothing behind."""

import sys
from pathlib import Path

import pytest

from training.tiny import avnas, broken_copy


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--search.epochs=many"], "search.epochs"),
        (["--search.epochs=0"], "--search.epochs is out of range: 0"),
        (["--finetune.warmup=1"], "--finetune.warmup is out of range: 1.0"),
        (["--finetune.schedule=linear"], "finetune.schedule"),
        (["--strategy=avnas", "--strategy.temperature=0"], "temperature must be positive"),
        (["--strategy=avnas", "--strategy.budget=3"], "budget"),
        (["--seed=-1"], "--seed must not be negative, got -1"),
        (["--bits=0"], "--bits must be positive, got 0"),
        (["--max_epochs=3"], "each stage has its own budget: --search.epochs and --finetune.epochs"),
        (["--bits=1.5"], "bits"),
        (["--network=audio_visual", "--network.width=9"], "2 heads do not divide the width"),
        (["--network=mlp", "--network.width=3"], "width"),
        (["--space=nowhere"], "unknown space 'nowhere'"),
        (["--space=nowhere.json"], "nowhere.json"),
        (["--logger=nonsense"], "nonsense"),
        (["--augmentation.frames=-1"], "augmentation.frames must not be negative"),
        (["--data.eval_batch_size=0"], "eval_batch_size"),
        (["--data.database=nowhere"], "'nowhere' is not a split"),
        (["--config=nowhere.yaml"], "nowhere.yaml"),
        (["--data.root=nowhere"], "nowhere"),
        (["--foo=1"], "--foo=1"),
        (["positional"], "positional"),
        (["--trainer.max_epochs=3"], "--search.epochs and --finetune.epochs"),
        (["--trainer.max_steps=3"], "--search.epochs and --finetune.epochs"),
        (["--trainer.default_root_dir=x"], "--out"),
        (["--trainer.accelerator=abacus"], "abacus"),
        (["--trainer.devices=-3"], "--trainer"),
        (["--trainer.strategy=nowhere"], "nowhere"),
        (["--trainer.precision=12"], "trainer.precision"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option(
    options: list[str], expected: str, tiny_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert avnas("fit", "--config", tiny_config, "--out", out, *options) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1, error
    assert error.startswith("avnas fit: error: ")
    assert expected in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: {root: x}\nserch: {epochs: 2}\n", "serch"),
        ("data: {root: x}\nsearch: {epoch: 2}\n", "epoch"),
        ("data: {root: x}\nstrategy: {class_path: avnas, init_args: {budget: 2}}\n", "budget"),
        ("data: {root: x}\ntrainer: {max_epochs: 2}\n", "--search.epochs and --finetune.epochs"),
        ("data: {root: x\nsearch: [\n", "config"),
        ("- a list\n", "config"),
        ("strategy: avnas\n", "data.root"),
    ],
    ids=["section", "key", "init_args", "trainer", "syntax", "list", "missing"],
)
def test_a_bad_yaml_file(text: str, expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text(text)
    assert avnas("fit", "--config", config, "--out", tmp_path / "out") == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1, error
    assert expected in error
    assert not (tmp_path / "out").exists()


def test_a_space_that_is_not_json(tiny_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "space.json"
    path.write_text("{")
    assert avnas("fit", "--config", tiny_config, "--out", tmp_path / "out", "--space", path) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"{path}: not valid JSON" in error


@pytest.mark.parametrize("package", ["wandb", "tensorboard"])
def test_a_logger_whose_package_is_missing(
    package: str,
    mlp_config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "out", f"--logger={package}") == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert f"pip install 'avhash-nas[{package}]'" in error
    assert not (tmp_path / "out").exists()


def test_a_bad_data_set_gives_one_line_for_each_problem(
    mlp_config: Path, tiny_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "broken"
    ids = broken_copy(tiny_data, root)
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "out", "--data.root", root) == 2
    lines = capfd.readouterr().err.splitlines()
    assert all(line.startswith("avnas fit: error: ") for line in lines)
    for video in ids[:3]:
        assert sum(video in line for line in lines) == 1, lines
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--trainer.limit_val_batches=0", "limit_val_batches=0"),
        ("--trainer.check_val_every_n_epoch=2", "more than the stage's 1 epochs"),
        ("--trainer.callbacks=LearningRateMonitor", "LearningRateMonitor"),
    ],
)
def test_trainer_options_that_leave_no_result(
    option: str, expected: str, mlp_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert avnas("fit", "--config", mlp_config, "--out", tmp_path / "out", option) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert expected in error


def test_bad_options_of_test(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("bits: 16\n")
    for options, expected in (
        ([], "run"),
        ([f"--run={tmp_path / 'nowhere'}"], "no run here"),
        ([f"--run={tmp_path}"], "not finished"),
    ):
        assert avnas("test", *options) == 2
        error = capfd.readouterr().err
        assert error.count("\n") == 1
        assert expected in error


def test_ctrl_c_in_a_tool_is_one_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from avhash_nas.cli import env

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(env, "run", interrupted)
    assert avnas("env") == 130
    assert capfd.readouterr().err == "avnas env: stopped\n"
