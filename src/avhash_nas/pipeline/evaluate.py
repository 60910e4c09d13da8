"""Scores of a finished network, and reference scores that need no training."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from avhash_nas.codes import pack
from avhash_nas.data import HashingData
from avhash_nas.data.loading import Rows
from avhash_nas.metrics import RetrievalScores, chance_scores, evaluate, ids_from_names, random_projection_codes
from avhash_nas.networks import HashNetwork, VideoNetwork
from avhash_nas.training import HashingModule

KS = (5, 20, 100)
"""The K at which a test reports mAP, precision and recall."""


def evaluate_network(network: HashNetwork, data: HashingData, trainer: L.Trainer) -> RetrievalScores:
    """Scores on the test split, against the database split."""
    module = HashingModule(network, ks=KS)
    trainer.test(module, datamodule=data, verbose=False)
    return module.scores[""]


def scores_by_k(logged: Mapping[str, float], prefix: str) -> dict[str, dict[str, float]]:
    """Logged average precisions under a prefix, by K and normalization, in the form of `metrics.json`.

    >>> scores_by_k({"val/map@100_k": 0.5, "val/recall@100": 0.1}, "val/")
    {'map@100': {'k': 0.5}}
    """
    scores: dict[str, dict[str, float]] = {}
    for name, value in logged.items():
        if name.startswith(f"{prefix}map@"):
            measure, _, normalization = name[len(prefix) :].partition("_")
            scores.setdefault(measure, {})[normalization] = value
    return scores


def reference_scores(data: HashingData, bits: int, seed: int) -> dict[str, Any]:
    """Scores on the test split without training: a random order, and random projections of the raw features.

    Returns:
        {"chance": {"map@100": {...}}, "random_projection": {"map@100": {...}}}.
    """
    rows = {"query": data.splits["test"], "database": data.splits[data.database]}
    labels = {role: torch.from_numpy(data.labels[chosen]) for role, chosen in rows.items()}
    pooled = {role: _pooled(data, chosen) for role, chosen in rows.items()}
    codes = {
        role: pack(random_projection_codes(features, bits, seed, reference=pooled["database"]))
        for role, features in pooled.items()
    }
    identities = ids_from_names(data.ids)
    given: dict[str, Any] = {
        "ks": (100,),
        "query_ids": identities[rows["query"]],
        "database_ids": identities[rows["database"]],
        "exclude_self": not data.include_self,
    }
    projected = evaluate(codes["query"], labels["query"], codes["database"], labels["database"], bits=bits, **given)
    scores = {"chance": chance_scores(labels["query"], labels["database"], **given), "random_projection": projected}
    return {name: {"map@100": score.to_dict()["map@100"]} for name, score in scores.items()}


def _pooled(data: HashingData, rows: Rows) -> Tensor:
    """Features averaged over time, both modalities side by side."""
    means = [torch.cat([piece.visual.mean(dim=1), piece.audio.mean(dim=1)], dim=1) for piece in data.pieces(rows)]
    return torch.cat(means)


def inference_seconds(
    network: VideoNetwork,
    data: HashingData,
    run: Callable[[Any, Tensor, Tensor], Tensor] = HashNetwork.encode,
    videos: int = 12_500,
    batch: int = 128,
) -> float:
    """Seconds to run `videos` videos, as in the paper's Table 2: measured on a few batches and scaled up.

    Reading is not counted, nor is the first batch, which is slower.

    Args:
        network: Without choices.
        data: An open dataset.
        run: What to run: of the network, visual and audio features.
        videos: Number of videos to scale to.
        batch: Videos at once.
    """
    rows = data.splits[data.database]
    weight = next(network.parameters())
    seconds, encoded = 0.0, 0
    for index in range(4):
        chunk = data.batch(rows[(torch.arange(batch) + index * batch).numpy() % len(rows)])
        visual, audio = chunk.visual.to(weight), chunk.audio.to(weight)
        started = time.perf_counter()
        run(network, visual, audio).cpu()
        if index:
            seconds += time.perf_counter() - started
            encoded += len(visual)
    return seconds / encoded * videos
