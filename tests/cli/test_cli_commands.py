"""Commands that train nothing, and what all commands have in common."""

import re
from pathlib import Path

import pytest

from avhash_nas import __version__
from avhash_nas.cli import COMMANDS
from avhash_nas.space import load_space
from training.tiny import avnas, broken_copy


def test_without_arguments_the_usage_is_printed_and_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas() == 2
    printed = capsys.readouterr().out
    assert all(re.search(rf"^  {name} ", printed, re.MULTILINE) for name in COMMANDS)
    assert avnas("--help") == 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("--version") == 0
    assert capsys.readouterr().out == f"avnas {__version__}\n"


@pytest.mark.parametrize("name", ["fits", "parser", "..errors", ""])
def test_an_unknown_command_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas(name) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "unknown command" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("fit", "Decay of an exponential moving average of the weights"),
        ("test", "folder of the run"),
        ("synth", "Write a labeled synthetic dataset in the published layout; with --events one for video parsing"),
        ("data", "every problem in one pass"),
        ("space", "Model width D, for the parameter count."),
        ("env", "selective-scan back end"),
    ],
)
def test_help_comes_from_the_docstrings(command: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas(command, "--help") == 0
    assert sentence in " ".join(capsys.readouterr().out.split())


def test_every_option_of_fit_has_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("fit", "--help") == 0
    helped = " ".join(capsys.readouterr().out.split())
    bare = [
        found[1]
        for found in re.finditer(r"(--(?:data|search|finetune|augmentation)\.\w+) \S+ \((?:type|default)", helped)
    ]
    assert bare == []


def test_space_prints_both_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("space") == 0
    printed = capsys.readouterr().out
    assert "440,301,256,704" in printed
    assert "78,364,164,096" in printed


def test_space_counts_the_parameters_of_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("space", "--preset", "arch-1") == 0
    printed = capsys.readouterr().out
    assert re.search(r"\b42,7\d\d,\d{3} parameters at D = 768, q = 64", printed)
    assert "architectures" not in printed


def test_space_counts_the_parameters_of_an_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(load_space("arch-1").only().to_dict()))
    assert avnas("space", "--architecture", path) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\b42,7\d\d,\d{3} parameters", printed)
    assert "440,301,256,704 architectures" in printed
    assert re.search(r"^M1  self_attention +│$", printed, re.MULTILINE)
    assert re.search(r"^I2  cross_ssm +of audio U4 and visual U4$", printed, re.MULTILINE)


def test_space_draws_a_flowchart_of_one_modality(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(load_space("arch-audio").only().to_dict()))
    assert avnas("space", "--architecture", path, "--mermaid", "--bits=32") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("flowchart TB\n")
    assert "S --> T" in printed
    assert '  hash["mean over time, FC, tanh: 32 bits"]\n' in printed


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--preset=arch-3"], "arch-1"),
        (["--preset=none.json"], "none.json"),
        (["--architecture=none.json"], "none.json"),
        (["--preset=arch-1", "--width=0"], "--width"),
        (["--preset=arch-1", "--bits=0"], "--bits"),
        (["--mermaid"], "--mermaid draws one architecture"),
    ],
)
def test_bad_options_of_space_are_one_line(
    options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert avnas("space", *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error


def test_env_names_the_scan_back_end(capsys: pytest.CaptureFixture[str]) -> None:
    from avhash_nas.kernels import scan_backend

    assert avnas("env") == 0
    assert re.search(rf"selective scan +{scan_backend().split()[0]}", capsys.readouterr().out)


def test_synth_writes_what_data_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "set"
    small = ("--classes=3", "--train=6", "--val=2", "--test=2", "--visual_dim=5", "--audio_dim=3", "--frames=4")
    assert avnas("synth", "--out", root, *small) == 0
    assert avnas("data", "check", root) == 0
    assert str(root) in capsys.readouterr().out
    assert avnas("synth", "--out", root, *small) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_data_check_lists_every_problem(tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "broken"
    ids = broken_copy(tiny_data, root)
    assert avnas("data", "check", root) == 2
    printed = capsys.readouterr()
    assert all(video in printed.out + printed.err for video in ids[:3])


@pytest.mark.parametrize("arguments", [(), ("check",), ("chek", "x"), ("check", "a", "b")])
def test_data_without_a_folder_prints_its_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert avnas("data", *arguments) == 2
    assert "usage: avnas data check DIR" in capsys.readouterr().err
