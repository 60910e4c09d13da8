"""Every network that is not searched: the whole way by its name, with the loss and the batches that it brings."""

import inspect
from pathlib import Path

import pytest
import yaml

from avhash_nas import baselines
from avhash_nas.networks import HashNetwork, TextHashNetwork
from training.test_resume import Kick, run, stop_and_go_on
from training.tiny import assert_same_run, captioned_set, metrics_of

BASELINES = sorted(
    name
    for name in baselines.__all__
    if inspect.isclass(found := getattr(baselines, name)) and issubclass(found, HashNetwork)
)
_ANCHORS = ("--objective.anchors=16", "--data.sampling.batch_size=16")
QUICK: dict[str, tuple[str, ...]] = {
    "AVHStyle": ("--network.hidden=8",),
    "DSVHStyle": ("--network.width=8",),
    "AVHash": ("--network.width=8", "--network.heads=2", "--data.sampling.anchors=8", "--data.sampling.negatives=2"),
    "BTH": ("--network.width=8", *_ANCHORS),
    "ConMH": ("--network.size=mini", "--network.width=8", "--data.sampling.batch_size=16"),
    "DKPH": ("--network.width=8", *_ANCHORS),
    "EERCF": ("--network.width=8", "--network.heads=2", "--network.layers=1", "--data.sampling.batch_size=16"),
    "MCMSH": ("--network.width=32", "--objective.anchors=16", "--data.sampling.batch_size=16"),
    "S5VH": (
        *("--network.size=mini", "--network.width=8", "--data.sampling.batch_size=16"),
        *("--objective.clusters=5", "--objective.warmup=1", "--objective.decoder_width=8"),
    ),
    "SSTH": ("--data.sampling.batch_size=16",),
}
"""Options that make a network small, and what a small dataset asks for."""


@pytest.fixture
def plain_config(tiny_config: Path, tmp_path: Path) -> Path:
    """The tiny options without those of network, strategy, loss and batches."""
    options = yaml.safe_load(tiny_config.read_text())
    for name in ("network", "strategy", "space", "objective", "search", "augmentation"):
        options.pop(name, None)
    options["data"].pop("sampling", None)
    options["finetune"] = {"epochs": 2, "lr": 1e-3, "average": 0.9}
    config = tmp_path / "plain.yaml"
    config.write_text(yaml.safe_dump(options))
    return config


@pytest.mark.parametrize("name", BASELINES)
def test_it_is_trained_tested_and_goes_on_where_it_was_stopped(
    name: str, plain_config: Path, tiny_data: Path, tmp_path: Path
) -> None:
    options: tuple[str, ...] = (f"--network={name}", *QUICK.get(name, ()))
    if issubclass(getattr(baselines, name), TextHashNetwork):
        options += (f"--data.root={captioned_set(tiny_data, tmp_path / 'captioned')}",)
    run(plain_config, tmp_path / "unbroken", *options)
    stop_and_go_on(plain_config, tmp_path / "run", *options, kicks=[Kick("finetune", 1, 0)])
    assert_same_run(tmp_path / "unbroken", tmp_path / "run")
    metrics = metrics_of(tmp_path / "run")
    network = HashNetwork.from_pretrained(tmp_path / "run" / "model")
    assert type(network).__name__ == metrics["network"] == name
    assert metrics["parameters"] == sum(each.numel() for each in network.parameters())


def test_its_pretraining_goes_on_where_it_was_stopped(plain_config: Path, tmp_path: Path) -> None:
    options = ("--network=BTH", *QUICK["BTH"])
    run(plain_config, tmp_path / "unbroken", *options)
    stop_and_go_on(plain_config, tmp_path / "run", *options, kicks=[Kick("pretrain", 1, 1), Kick("finetune", 0, 1)])
    assert_same_run(tmp_path / "unbroken", tmp_path / "run")
