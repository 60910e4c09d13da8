"""Every recipe, comparison and sweep in the repository is accepted by the command that it is for."""

import copy
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from avhash_nas.cli.fit import CHOICES, decisive, filled, parser
from avhash_nas.data import write_synthetic
from training.tiny import avnas, metrics_of

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("strategies", "experiments") for path in (ROOT / folder).rglob("*.y*ml"))
SWEEPS = [path for path in FILES if "program" in yaml.safe_load(path.read_text())]
COMPARISONS = [path for path in FILES if "entries" in yaml.safe_load(path.read_text())]
RECIPES = [path for path in FILES if path not in (*SWEEPS, *COMPARISONS)]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def points_of(sweep: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The points of a grid."""
    values = [given.get("values", [given.get("value")]) for given in sweep["parameters"].values()]
    return (dict(zip(sweep["parameters"], point)) for point in itertools.product(*values))


def command_of(sweep: dict[str, Any], point: dict[str, Any]) -> list[str]:
    """The command line that a wandb agent makes of a point, with the functions that it makes it with."""
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    words = utils.create_sweep_command(copy.deepcopy(sweep["command"]))
    known = utils.create_sweep_command_args({"args": {option: {"value": value} for option, value in point.items()}})
    known |= {"program": [sweep["program"]], "env": ["/usr/bin/env"]}
    line: list[str] = []
    for word in map(str, words):
        line += known[word[2:-1]] if word.startswith("${") and word.endswith("}") else [word]
    return line


def test_there_are_recipes() -> None:
    assert "experiments/demo/avnas.yaml" in map(name, RECIPES)


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_a_recipe_parses_and_its_classes_can_be_made(path: Path) -> None:
    made = parser()
    ready = made.make(made.parse(["--config", str(path), "--data.root=somewhere"]))
    given = yaml.safe_load(path.read_text())
    for stage in ("search", "finetune"):
        for option, value in given.get(stage, {}).items():
            assert getattr(ready[stage], option) == value


@pytest.mark.parametrize("path", COMPARISONS, ids=name)
def test_a_comparison_is_accepted_and_has_tables(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    out = tmp_path / "out"
    assert avnas("compare", "--config", path, "--out", out, "--tables-only") == 1  # nothing is finished
    text = next(out.glob("*.md")).read_text()
    given = yaml.safe_load(path.read_text())
    rows = [entry.get("label", entry["name"]) for entry in given["entries"]]
    assert all(f"| {row} | 0 |" in text for row in rows)
    beside = [entry for entry in given["entries"] if "paper" in entry]
    assert text.count("  paper, ") == len(beside) * (2 + 3 * given.get("in_full", False)) * ("dataset" in given)
    assert ("Published results" in text) == (bool(beside) and "dataset" not in given)


def check_points(path: Path, points: Iterable[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a command line that parses and names a folder that no other point of the sweep has."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AVNAS_DATA", "/data of mine")
    monkeypatch.setenv("AVNAS_OUT", "/runs of mine")
    sweep, made, folders = yaml.safe_load(path.read_text()), parser(), []
    for point in points:
        line = command_of(sweep, point)
        assert line[:3] == ["/usr/bin/env", "avnas", "fit"]
        options = made.parse(line[3:])
        made.make(options)
        assert str(options.data.root) == "/data of mine"
        assert (options.bits, options.seed) == (point["bits"], point["seed"])
        folders.append(filled(options.out, decisive(options, made), CHOICES))
    assert len(set(folders)) == len(folders) > 1
    assert all(folder.startswith("/runs of mine/") for folder in folders)


@pytest.mark.parametrize("path", SWEEPS, ids=name)
def test_every_value_of_a_sweep_makes_a_run_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = list(points_of(yaml.safe_load(path.read_text())))
    first = every[0]
    check_points(path, [each for each in every if len(each.items() - first.items()) < 2], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=name)
def test_every_point_of_a_sweep_makes_a_run_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_points(path, points_of(yaml.safe_load(path.read_text())), monkeypatch)


@pytest.mark.parametrize(("sweep", "comparison"), [("stamps", "stamps/compare"), ("table2", "table2/fcvid")])
def test_a_sweep_computes_what_the_comparison_computes(
    sweep: str, comparison: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that `avnas compare --tables-only` makes the tables of a sweep."""
    monkeypatch.chdir(ROOT)
    of_sweep = yaml.safe_load((ROOT / f"experiments/sweeps/{sweep}.yaml").read_text())
    compared = yaml.safe_load((ROOT / f"experiments/{comparison}.yaml").read_text())
    made = parser()
    for entry in compared["entries"]:
        point = {"config": (entry.get("recipes") or [""])[0], "bits": 32, "seed": 1}
        if point["config"] not in of_sweep["parameters"]["config"]["values"]:
            continue
        options = made.parse(command_of(of_sweep, point)[3:])
        layers = [*compared["recipes"], *entry["recipes"]]
        same = [*(f"--config={layer}" for layer in layers), "--bits=32", "--seed=1", f"--data.root={options.data.root}"]
        assert decisive(options, made) == decisive(made.parse(same), made)
        assert filled(options.out, decisive(options, made), CHOICES).endswith(f"/{entry['name']}-32-1")


@pytest.mark.parametrize("options_sent_first", [True, False])
def test_the_order_of_a_points_options_does_not_matter(options_sent_first: bool) -> None:
    sweep = {"program": "avnas", "command": ["${env}", "${program}", "fit", "${args}"]}
    config = {"config": str(ROOT / "experiments/demo/avnas.yaml")}
    others = {"strategy.count": 3, "strategy": "random", "data.root": "somewhere"}
    point = {**others, **config} if options_sent_first else {**config, **dict(reversed(others.items()))}
    made = parser()
    options = made.parse(command_of(sweep, point)[3:])
    assert options.strategy.init_args.count == 3
    assert options.search.epochs == 16


def test_a_point_of_a_sweep_runs_and_logs_what_the_sweep_looks_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.chdir(ROOT)
    data = write_synthetic(tmp_path / "data", classes=4, train=10, val=4, test=4, visual_dim=8, audio_dim=6, frames=5)
    for variable, value in (
        *(("AVNAS_DATA", data), ("AVNAS_OUT", tmp_path / "out"), ("WANDB_MODE", "offline")),
        *(("WANDB_SILENT", "true"), ("WANDB_DIR", tmp_path), ("WANDB_RUN_ID", "sent-by-the-agent")),
    ):
        monkeypatch.setenv(variable, str(value))
    sweep = yaml.safe_load((ROOT / "experiments/sweeps/stamps.yaml").read_text())
    line = command_of(sweep, next(points_of(sweep)))
    tiny = ("--search.epochs=1", "--finetune.epochs=1", "--network.width=8", "--trainer.check_val_every_n_epoch=1")
    tiny += (
        "--data.sampling.classes=4",
        "--data.sampling.videos=2",
        f"--data.cache_dir={tmp_path / 'cache'}",
        "--page=false",
    )
    try:
        assert avnas(*line[2:], *tiny) == 0
        logged = dict(wandb.run.summary)
    finally:
        wandb.finish()
    out = tmp_path / "out" / "avnas-32-0"
    assert metrics_of(out)["bits"] == 32
    assert sweep["metric"]["goal"] == "maximize"
    for logged_as, section in ((sweep["metric"]["name"], "val"), ("test/map@100_retrieved", "test")):
        assert logged[logged_as] == pytest.approx(metrics_of(out)[section]["map@100"]["retrieved"], abs=1e-6)


def test_the_demo_runs(tmp_path: Path) -> None:
    data = write_synthetic(tmp_path / "data", classes=10, train=8, val=2, test=2, visual_dim=8, audio_dim=6, frames=10)
    tiny = ("--search.epochs=1", "--finetune.epochs=1", "--network.width=8", "--bits=16", "--page=false")
    where = ("--data.root", data, "--data.cache_dir", tmp_path / "cache", "--out", tmp_path / "run")
    assert avnas("fit", "--strategy=avnas", "--config", ROOT / "experiments/demo/avnas.yaml", *where, *tiny) == 0
    assert metrics_of(tmp_path / "run")["strategy"] == "AVNAS"
