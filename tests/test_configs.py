"""Every recipe in the repository is accepted by the command that it is for."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from avhash_nas.cli.fit import parser
from avhash_nas.data import write_synthetic
from training.tiny import avnas, metrics_of

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("strategies", "experiments") for path in (ROOT / folder).rglob("*.y*ml"))
SWEEPS = [path for path in FILES if "program" in yaml.safe_load(path.read_text())]
RECIPES = [path for path in FILES if path not in SWEEPS]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_of(sweep: dict[str, Any]) -> list[list[str]]:
    """The command lines that a wandb agent would make: every value once, with the other parameters at their first."""
    choices: dict[str, list[Any]] = {}
    for option, given in sweep["parameters"].items():
        ends = [given[end] for end in ("min", "max") if end in given]
        choices[option] = given.get("values") or ([given["value"]] if "value" in given else ends)
    first = {option: values[0] for option, values in choices.items()}
    picked = itertools.chain([first], ({**first, option: v} for option, values in choices.items() for v in values[1:]))
    template = sweep["command"]
    lines = []
    for pick in picked:
        line: list[str] = []
        for word in template:
            if word == "${args}":
                line += [f"--{option}={value}" for option, value in reversed(pick.items())]
            elif word == "${program}":
                line.append(sweep["program"])
            elif word != "${env}":
                line.append(str(word))
        lines.append(line)
    return lines


def test_there_are_recipes() -> None:
    assert "experiments/demo/avnas.yaml" in map(name, RECIPES)


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_a_recipe_parses_and_its_classes_can_be_made(path: Path) -> None:
    made = parser()
    ready = made.make(made.parse(["--config", str(path), "--data.root=somewhere"]))
    given = yaml.safe_load(path.read_text())
    assert ready.finetune.lr == given["finetune"]["lr"]
    assert ready.finetune.epochs == given["finetune"]["epochs"]


@pytest.mark.parametrize("path", SWEEPS, ids=name)
def test_a_sweep_makes_command_lines_that_parse(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for line in commands_of(yaml.safe_load(path.read_text())):
        assert line[:2] == ["avnas", "fit"]
        made = parser()
        made.make(made.parse(["--data.root=somewhere", *line[2:]]))


def test_a_sweep_is_expanded_in_the_order_that_a_server_may_send() -> None:
    sweep = {
        "program": "avnas",
        "command": ["${env}", "${program}", "fit", "--config=experiments/demo/avnas.yaml", "${args}"],
        "parameters": {
            "strategy": {"value": "avnas"},
            "strategy.lr": {"values": [0.1, 0.2]},
            "seed": {"min": 0, "max": 3},
        },
    }
    lines = commands_of(sweep)
    assert lines[0] == [
        *("avnas", "fit", "--config=experiments/demo/avnas.yaml"),
        *("--seed=0", "--strategy.lr=0.1", "--strategy=avnas"),
    ]
    assert {line[-2] for line in lines} == {"--strategy.lr=0.1", "--strategy.lr=0.2"}
    assert {line[-3] for line in lines} == {"--seed=0", "--seed=3"}


def test_the_demo_runs(tmp_path: Path) -> None:
    data = write_synthetic(tmp_path / "data", classes=10, train=8, val=2, test=2, visual_dim=8, audio_dim=6, frames=10)
    tiny = ("--search.epochs=1", "--finetune.epochs=1", "--network.width=8", "--bits=16")
    where = ("--data.root", data, "--data.cache_dir", tmp_path / "cache", "--out", tmp_path / "run")
    assert avnas("fit", "--strategy=avnas", "--config", ROOT / "experiments/demo/avnas.yaml", *where, *tiny) == 0
    assert metrics_of(tmp_path / "run")["strategy"] == "avnas"
