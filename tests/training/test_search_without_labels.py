"""Searches with self-supervised objectives: they run whole, find codes, and read labels at most to rank by val."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from baselines.planted import planted_set
from training.tiny import SMALL_SEARCHES, avnas, metrics_of, tiny_space, write_config

OBJECTIVES: dict[str, dict[str, Any]] = {
    "SLG": {"decoder_width": 16, "clusters": 6, "warmup": 1, "alignment": 0.1},
    "MaskedContrastive": {"decoder_width": 12},
}


def config(path: Path, data: Path, objective: str, epochs: int) -> Path:
    options = {
        "network": {
            "class_path": "audio_visual",
            "init_args": {"width": 24, "heads": 2, "states": 4, "binary_steps": True},
        },
        "objective": {"class_path": objective, "init_args": OBJECTIVES[objective]},
        "data": {
            "root": str(data),
            "cache_dir": str(path.parent / "cache"),
            "sampling": {"class_path": "Shuffled", "init_args": {"batch_size": 30}},
        },
        "bits": 16,
        "page": False,
        "search": {"epochs": epochs, "lr": 0.005, "body_lr": 0.2, "keep": "last"},
        "finetune": {"epochs": 2 * epochs, "lr": 0.003, "keep": "last"},
    }
    return write_config(path, options)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_set(tmp_path_factory.mktemp("planted") / "data")


@pytest.mark.parametrize(
    ("strategy", "objective"),
    [("AVNAS", "SLG"), ("DARTS", "SLG"), pytest.param("AVNAS", "MaskedContrastive", marks=pytest.mark.slow)],
)
def test_labels_of_training_and_validation_change_nothing(
    strategy: str, objective: str, planted: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(planted, tmp_path / "other")
    for split in ("train", "val"):
        lines = [line.split(",") for line in (other / f"{split}.txt").read_text().splitlines()]
        ids, labels = zip(*lines, strict=True)
        turned = (*labels[7:], *labels[:7])
        (other / f"{split}.txt").write_text("".join(f"{id_},{label}\n" for id_, label in zip(ids, turned, strict=True)))
    space, weights = tiny_space(tmp_path / "space.json"), []
    for name, data in (("one", planted), ("two", other)):
        out = tmp_path / name
        file = config(tmp_path / f"{name}.yaml", data, objective, epochs=1)
        assert avnas("fit", "--config", file, f"--strategy={strategy}", "--space", space, "--out", out) == 0
        weights.append(load_file(next(out.rglob("model.safetensors"))))
    assert (tmp_path / "one/architecture.json").read_text() == (tmp_path / "two/architecture.json").read_text()
    assert weights[0].keys() == weights[1].keys()
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("strategy", ["AVNAS", "DARTS", "SPOS"])
def test_a_search_finds_codes_far_better_than_random_projections(
    objective: str, strategy: str, planted: Path, tmp_path: Path
) -> None:
    file = config(tmp_path / "search.yaml", planted, objective, epochs=8)
    options = [f"--strategy.{option}={value}" for option, value in SMALL_SEARCHES.get(strategy, {}).items()]
    if strategy == "DARTS":
        options.append("--strategy.order=2")
    assert avnas("fit", "--config", file, f"--strategy={strategy}", *options, "--out", tmp_path / "run") == 0
    found = metrics_of(tmp_path / "run")
    assert found["test"]["map@100"]["standard"] > 2 * found["random_projection"]["map@100"]["standard"]
