"""Run folders as `avnas fit` writes them, with made-up numbers, to test reports without training."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from avhash_nas.code_set import CodeSet
from avhash_nas.space import SearchSpace, load_space
from avhash_nas.training.search_log import EvaluatedArchitecture, write_evaluations

SCORE = "map@100_retrieved"


def make_run(
    folder: Path,
    *,
    strategy: str | None = "AVNAS",
    space: str = "full",
    epochs: int = 6,
    validated: int = 2,
    rounds: tuple[int, ...] = (),
    probable: bool = True,
    finished: bool = True,
    report: dict[str, Any] | None = None,
    seed: int = 0,
) -> Path:
    """A run folder.

    Args:
        folder: Folder to create.
        strategy: Name of the strategy; None for a network that was not searched.
        space: Preset or JSON file of the search space.
        epochs: Epochs of the search; 0 for no search stage.
        validated: Number of epochs between validations.
        rounds: Number of architectures evaluated in each round after the search.
        probable: Whether the strategy has probabilities.
        finished: Whether there are metrics.
        report: The strategy's report in `metrics.json`.
        seed: Seed of the numbers.
    """
    random, searched = np.random.default_rng(seed), load_space(space)
    folder.mkdir(parents=True)
    options = {
        "seed": seed,
        "bits": 16,
        "space": space,
        "strategy": {"class_path": f"avhash_nas.strategies.{strategy or 'AVNAS'}"},
        "network": {"class_path": "avhash_nas.networks.audio_visual.AudioVisualNetwork"},
        "search": {"epochs": epochs},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(options))
    architecture = searched.sample(random)
    if strategy is not None:
        _search(folder / "search", searched, epochs, validated, random, probable=probable, finished=finished)
        if rounds:
            write_evaluations(folder / "search" / "evaluations.csv", _evaluations(searched, rounds, random))
    if finished:
        (folder / "architecture.json").write_text(json.dumps(architecture.to_dict()))
        tuned = {"epoch": 0, "lr": 0.01, "train/loss": 1.0, f"val/{SCORE}": 0.5}
        _write_csv(folder / "finetune" / "epochs.csv", [tuned])
        metrics = {
            "strategy": strategy,
            "network": "AudioVisualNetwork",
            "bits": 16,
            "seed": seed,
            "search": report or {},
            "test": {"map@100": {"retrieved": 0.5, "standard": 0.4, "k": 0.3}},
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def small_space(folder: Path) -> str:
    """A file with a space of both modalities in which three cells have a choice."""
    free = {"visual.U1": 3, "audio.U1": 2, "F": 2}
    cells = {cell.name: list(cell.candidates[: free.get(cell.name, 1)]) for cell in load_space("full").cells}
    file = folder / "small.json"
    file.write_text(json.dumps({"expand": 2, "cells": cells}))
    return str(file)


def _search(
    folder: Path,
    space: SearchSpace,
    epochs: int,
    validated: int,
    random: np.random.Generator,
    *,
    probable: bool,
    finished: bool,
) -> None:
    rows, probabilities = [], []
    for epoch in range(epochs):
        rows.append({"epoch": epoch, "seconds": 1.5, "lr": 0.01, "lr/head": 0.02, "train/loss": 5 / (epoch + 1)})
        if (epoch + 1) % validated == 0:
            supernet, gap = random.random(), random.random() / 10
            rows[-1] |= {f"val/supernet/{SCORE}": supernet, f"val/derived/{SCORE}": supernet - gap}
            rows[-1] |= {"architecture/entropy": 1 / (epoch + 1), "architecture/skips": float(epoch)}
        shares = {cell.name: random.dirichlet(np.ones(len(cell.candidates))) for cell in space.choices}
        row = {
            f"{cell.name}={name}": round(float(share), 6)
            for cell in space.choices
            for name, share in zip(cell.candidates, shares[cell.name])
        }
        probabilities.append({"epoch": epoch, **row})
    if rows:
        _write_csv(folder / "epochs.csv", rows)
    if rows and probable:
        _write_csv(folder / "probabilities.csv", probabilities)
    if rows and finished:
        best = {"best": {"epoch": float(epochs - 1)}, "peaks": {}, "epochs": epochs, "epoch_seconds": 1.5}
        (folder / "done.json").write_text(json.dumps(best))


def _evaluations(
    space: SearchSpace, rounds: tuple[int, ...], random: np.random.Generator
) -> list[EvaluatedArchitecture]:
    return [
        EvaluatedArchitecture(number, "shared", float(random.random()), space.sample(random))
        for number, count in enumerate(rounds)
        for _ in range(count)
    ]


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def make_codes(
    count: int,
    role: str = "query",
    classes: int = 4,
    bits: int = 16,
    noise: float = 0.1,
    seed: int = 0,
    several: bool = False,
) -> CodeSet:
    """Codes near the center of their class; with `several`, every fifth video has a second label."""
    rng = np.random.default_rng((seed, len(role)))
    centers = np.random.default_rng(1).integers(0, 2, (classes, bits))
    label = np.arange(count) % classes
    packed = np.packbits(centers[label] ^ (rng.random((count, bits)) < noise), axis=1)
    labels = np.eye(classes, dtype=bool)[label]
    if several:
        labels[::5, 0] = True
    names = tuple(f"class {number}" for number in range(classes))
    ids = np.array([f"{role}-{number}" for number in range(count)])
    return CodeSet(ids, packed, bits, "0" * 16, labels=labels, class_names=names)


def make_run_with_curves(
    folder: Path,
    precision: list[float] | None = None,
    *,
    bits: int = 16,
    seed: int = 0,
    strategy: str | None = None,
) -> Path:
    """A run folder of a plain network with options and, if the precision is given, metrics and curves."""
    network = "MeanPoolMLP"
    folder.mkdir(parents=True)
    options = {"bits": bits, "seed": seed, "network": {"class_path": f"avhash_nas.baselines.{network}"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(options))
    if precision is not None:
        metrics = {"strategy": strategy, "network": network, "bits": bits, "seed": seed}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        ranks = len(precision)
        curve = {
            "at": [*range(1, ranks + 1)],
            "precision": precision,
            "recall": [(k + 1) / ranks for k in range(ranks)],
        }
        (folder / "curves.json").write_text(json.dumps({"by_rank": curve}))
    return folder
