"""A run of seconds for the tests of training and of the command line."""

import csv
import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import yaml

from avhash_nas import strategies
from avhash_nas.cli import main
from avhash_nas.code_set import CodeSet
from avhash_nas.data import Caption, write_captions, write_synthetic, write_text
from avhash_nas.data.import_captions import add_entry
from avhash_nas.extraction import CharacterNgrams
from avhash_nas.metrics import evaluate, ids_from_names
from avhash_nas.pipeline.evaluate import KS
from avhash_nas.space import Cell, SearchSpace, load_space

ALL_STRATEGIES = sorted(
    name
    for name in strategies.__all__
    if inspect.isclass(found := getattr(strategies, name))
    and issubclass(found, strategies.SearchStrategy)
    and not inspect.isabstract(found)
)
SMALL_SEARCHES: dict[str, dict[str, Any]] = {
    "ENAS": {"controller_steps": 2, "samples": 3, "best_of": 6},
    "ProxylessNAS": {"train_fraction": 0.5, "every": 2, "warmup": 0.1, "samples": 2},
    "RandomSearch": {"count": 2},
    "SPOS": {"population": 6, "generations": 3, "top": 3, "mutants": 3, "crossovers": 2},
    "SharedRandom": {"count": 8},
}
"""Options that make a search as short as the tiny run's."""
_FREE = {"visual.M1", "visual.U1", "audio.M3", "audio.D1", "F"}


def tiny_set(root: Path) -> Path:
    return write_synthetic(root, classes=4, train=10, val=4, test=4, visual_dim=8, audio_dim=6, frames=9)


NAMES = ("red kite", "blue whale", "green frog", "old piano")
"""What captions call the classes of `captioned_set`."""


def captioned_set(data: Path, root: Path) -> Path:
    """A copy of a tiny set with two captions a video, which name its class; one training video has none."""
    shutil.copytree(data, root)
    captions = []
    for split in ("train", "val", "test"):
        lines = [line.split(",") for line in (root / f"{split}.txt").read_text().splitlines()]
        for video, label in lines[1 if split == "train" else 0 :]:
            captions += [Caption(video, f"a {NAMES[int(label)]}", "en"), Caption(video, f"{NAMES[int(label)]}s", "en")]
    write_captions(root / "captions.jsonl", captions)
    encoder = CharacterNgrams(width=64)
    write_text(root / "text.h5", captions, encoder([each.text for each in captions]), encoder.to_dict())
    add_entry(root / "dataset.yaml", {"captions": "captions.jsonl", "files": {"text": "text.h5"}})
    return root


def broken_copy(data: Path, root: Path) -> list[str]:
    """A copy whose first three training videos each have a problem of their own; the ids of the training videos."""
    shutil.copytree(data, root)
    ids = [line.split(",")[0] for line in (root / "train.txt").read_text().splitlines()]
    with h5py.File(root / "image.h5", "a") as file:
        del file[ids[0]]
        file[ids[1]]["vectors"][0, 0] = np.nan
    with h5py.File(root / "audio.h5", "a") as file:
        del file[ids[2]]["vectors"]
    return ids


def tiny_space(path: Path) -> Path:
    """The full space with choices in one cell of each kind only."""
    cells = (cell if cell.name in _FREE else Cell(cell.name, cell.candidates[:1]) for cell in load_space("full").cells)
    path.write_text(json.dumps(SearchSpace(tuple(cells)).to_dict()))
    return path


def tiny_options(data: Path, cache: Path) -> dict[str, Any]:
    """Options that use everything that holds state: averaging, schedule, dropout, batch norm, augmentation."""
    return {
        "strategy": {"class_path": "avnas", "init_args": {"lr": 0.05, "temperature": 0.3}},
        "network": {"class_path": "audio_visual", "init_args": {"width": 8, "heads": 2, "states": 4, "balance": True}},
        "space": str(tiny_space(data.with_name("space.json"))),
        "bits": 16,
        "page": False,
        "data": {
            "root": str(data),
            "cache_dir": str(cache),
            "sampling": {"class_path": "ClassBalanced", "init_args": {"classes": 4, "videos": 2}},
        },
        "search": {"epochs": 3, "lr": 0.005, "average": 0.9, "schedule": "cosine", "warmup": 0.1, "weight_decay": 0.01},
        "finetune": {"epochs": 3, "lr": 0.002, "patience": 2},
        "augmentation": {"frames": 5},
    }


def write_config(path: Path, options: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(options))
    return path


def avnas(*arguments: object) -> int:
    """Exit code of a command, run in this process."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        return int(leaving.code or 0)


def fit_with(config: Path, name: str, out: Path) -> int:
    """Exit code of `avnas fit` with a strategy and its options for short searches."""
    options = [f"--strategy.{option}={value}" for option, value in SMALL_SEARCHES.get(name, {}).items()]
    return avnas("fit", "--config", config, f"--strategy={name}", *options, "--out", out)


def metrics_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def space_of(run: Path) -> SearchSpace:
    return load_space(yaml.safe_load((run / "config.yaml").read_text())["space"])


def epochs_of(run: Path, stage: str) -> list[dict[str, str]]:
    """Rows of epochs.csv without the time."""
    with (run / stage / "epochs.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def scores_of_codes(run: Path) -> dict[str, Any]:
    """What `metrics.json` should say of the test, from the codes that the run has left."""
    arrays, identities = [], []
    for role in ("query", "database"):
        codes = CodeSet.load(run / "codes" / f"{role}.npz")
        identity, order = ids_from_names(list(codes.ids)).sort()  # the order of the sums, to the last digit
        arrays += [torch.from_numpy(part)[order] for part in (codes.packed, codes.labels)]
        identities.append(identity)
    query_ids, database_ids = identities
    scores = evaluate(
        *arrays, ks=KS, query_ids=query_ids, database_ids=database_ids, bits=codes.bits, exclude_self=True
    )
    return scores.to_dict()


def assert_same_run(one: Path, other: Path) -> None:
    """Two runs gave the same figures and the same bytes."""
    metrics = [metrics_of(run) for run in (one, other)]
    for values in metrics:
        values.pop("time")
    assert metrics[0] == metrics[1]
    searched = ("architecture.json",) if metrics[0]["strategy"] else ()
    files = ("curves.json", "model/model.safetensors", "model/config.json", "config.yaml")
    for name in (*searched, *files, "codes/query.npz", "codes/database.npz"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for name in ("search/probabilities.csv", "search/evaluations.csv"):
        files = [run / name for run in (one, other) if (run / name).exists()]
        assert len({file.read_bytes() for file in files}) == len(files) / 2, name
    stages = [sorted(str(path.parent.relative_to(run)) for path in run.rglob("epochs.csv")) for run in (one, other)]
    assert stages[0] == stages[1] != []
    for stage in stages[0]:
        assert epochs_of(one, stage) == epochs_of(other, stage)
