"""Codes and runs to draw."""

import json

import numpy as np
import yaml

from avhash_nas.code_set import CodeSet


def codes(count, role="query", classes=4, bits=16, noise=0.1, seed=0, several=False):
    """Codes near the center of their class; `several` gives every fifth video a second label."""
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


def run(folder, *, bits=16, seed=0, strategy=None, precision=None, network="MeanPoolMLP"):
    """A run folder with options and, where asked for, curves."""
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
