"""What a stage does for an objective that prepares offline, owns parameters and chooses its batches."""

from pathlib import Path

import pytest
import torch

from avhash_nas.training.tensors import read_tensors
from training.test_resume import BATCHES, Kick, run, stop_and_go_on
from training.tiny import assert_same_run, metrics_of

NETWORK = ("--network=mlp", "--network.hidden=8", "--data.sampling=triplets", "--data.sampling.anchors=2")
PULL = "--objective=training.own_objective.Pull"


def options(log: Path, *more: str) -> tuple[str, ...]:
    return (*NETWORK, PULL, f"--objective.log={log}", "--finetune.epochs=3", *more)


@pytest.fixture
def without_network(tiny_config: Path, tmp_path: Path) -> Path:
    """The tiny options without those of the network."""
    import yaml

    values = yaml.safe_load(tiny_config.read_text())
    for name in ("network", "strategy", "space"):
        values.pop(name, None)
    values.get("data", {}).pop("sampling", None)
    config = tmp_path / "plain.yaml"
    config.write_text(yaml.safe_dump(values))
    return config


def test_it_is_prepared_once_and_its_parameters_are_trained_and_left_out_of_the_network(
    without_network: Path, tmp_path: Path
) -> None:
    log, out = tmp_path / "log", tmp_path / "run"
    run(without_network, out, *options(log))
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["prepare", "begin"]
    assert set(read_tensors(out / "finetune" / "prepared.pt")) == {"target"}
    metrics = metrics_of(out)
    hidden, bits, dims = 8, metrics["bits"], 8 + 6
    assert metrics["parameters"] == dims * hidden + hidden + hidden * bits + bits
    assert metrics["parameters_of_training_only"] == bits * 8 + 8
    names = read_tensors(out / "finetune" / "best.pt")["network"]
    assert not [name for name in names if "decoder" in name]


def test_a_run_with_it_that_is_stopped_ends_the_same(without_network: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run(without_network, tmp_path / "unbroken", *options(tmp_path / "other"))
    kicks = [Kick("finetune", 0, 2), Kick("finetune", 1, None), Kick("finetune", 2, 1)]
    stop_and_go_on(without_network, tmp_path / "run", *options(log), kicks=kicks)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["prepare", *["begin"] * 4]
    for name in ("unbroken", "run"):  # the options name the log
        (tmp_path / name / "config.yaml").write_text("")
    assert_same_run(tmp_path / "unbroken", tmp_path / "run")


def test_its_pretraining_is_a_stage_of_its_own_whose_network_it_prepares_with(
    without_network: Path, tmp_path: Path
) -> None:
    log, out = tmp_path / "log", tmp_path / "run"
    run(without_network, out, *options(log, "--objective.first=true"))
    before = read_tensors(out / "finetune" / "pretrain" / "best.pt")["network"]
    size = sum(float(value.abs().sum()) for name, value in before.items() if "weight" in name or "bias" in name)
    prepared = [float(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("prepare")]
    assert prepared[1] == pytest.approx(size, rel=1e-5)
    assert prepared[0] != pytest.approx(size, rel=1e-3)
    assert (out / "finetune" / "pretrain" / "done.json").exists()
    assert torch.isfinite(read_tensors(out / "finetune" / "prepared.pt")["target"]).all()


def test_it_can_be_searched_with(tiny_config: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    given = (PULL, f"--objective.log={log}", "--search.epochs=2", "--finetune.epochs=1")
    run(tiny_config, tmp_path / "unbroken", *given)
    stop_and_go_on(tiny_config, tmp_path / "run", *given, kicks=[Kick("search", 1, BATCHES // 2)])
    assert_same_run(tmp_path / "unbroken", tmp_path / "run")
    assert metrics_of(tmp_path / "run")["parameters_of_training_only"] > 0
