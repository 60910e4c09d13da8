"""A problem that a hashing method must solve: classes with different means, in both modalities, under noise.

The noise of a video is the same in all of its frames and spread over all dimensions; the class means span only a few. A
method that finds these directions retrieves well; random projections, which weigh all directions equally, do not.
"""

import itertools
from pathlib import Path
from typing import Any

import h5py
import lightning as L
import numpy as np
import torch

from avhash_nas.data import BatchSampling, HashingData
from avhash_nas.networks import HashNetwork
from avhash_nas.objectives import Objective
from avhash_nas.pipeline.evaluate import evaluate_network, reference_scores
from avhash_nas.training import HashingModule, Recipe

CLASSES, DIM, FRAMES = 6, 48, 5
SIZES = {"train": 30, "val": 2, "test": 10}
"""Videos of each class."""

_BOUNDS: dict[int, tuple[float, float]] = {}
"""What `bounds` returns, by bits: the planted set is always the same."""


def planted_set(root: Path) -> Path:
    """Writes a dataset in the published layout."""
    random = np.random.default_rng(0)
    root.mkdir(parents=True)
    labels = np.repeat(np.arange(CLASSES), sum(SIZES.values()))
    names = [f"v{row:03d}" for row in range(len(labels))]
    for file in ("image.h5", "audio.h5"):
        means = random.standard_normal((CLASSES, DIM))
        means *= 5 / np.linalg.norm(means, axis=1, keepdims=True)
        videos = means[labels] + 0.9 * random.standard_normal((len(labels), DIM))
        frames = videos[:, None] + random.standard_normal((len(labels), FRAMES, DIM))
        with h5py.File(root / file, "w") as archive:
            for name, vectors in zip(names, frames.astype(np.float32), strict=True):
                archive.create_group(name)["vectors"] = vectors
    for split, rows in zip(SIZES, _rows(), strict=True):
        (root / f"{split}.txt").write_text("".join(f"{names[row]},{labels[row]}\n" for row in rows))
    return root


def _rows() -> list[list[int]]:
    """The rows of each split."""
    starts = np.cumsum([0, *SIZES.values()])
    every = np.arange(CLASSES * starts[-1]).reshape(CLASSES, -1)
    return [every[:, first:last].ravel().tolist() for first, last in itertools.pairwise(starts)]


def trained_map(
    data: HashingData,
    network: HashNetwork,
    objective: Objective,
    sampling: BatchSampling | None = None,
    prepared_from: HashNetwork | None = None,
    **recipe: Any,
) -> float:
    """mAP@100 of the test split after training, by the normalization `standard`."""
    if sampling is not None:
        data.sampling = sampling
    torch.manual_seed(0)
    module = HashingModule(network, objective, Recipe(**recipe), pretrained=prepared_from)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(
        max_epochs=module.recipe.epochs,
        accelerator="cpu",
        devices=1,
        enable_model_summary=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        **quiet,
    )
    trainer.fit(module, datamodule=data)
    return evaluate_network(network, data, trainer).to_dict()["map@100"]["standard"]


def bounds(data: HashingData, bits: int) -> tuple[float, float]:
    """mAP@100 of a random order and of random projections, by the same normalization; computed once for each length."""
    if bits not in _BOUNDS:
        scores = reference_scores(data, bits, seed=0)
        chance, projection = (scores[name]["map@100"]["standard"] for name in ("chance", "random_projection"))
        _BOUNDS[bits] = chance, projection
    return _BOUNDS[bits]
