"""Scores of architectures, as one rank of several computes them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from avhash_nas.data import HashingData
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring
from avhash_nas.space import SearchSpace, load_space


def scores(rank: int, root: Path, cache: Path, count: int) -> tuple[list[dict[str, float]], int]:
    """Scores of `count` random architectures, and how often the scorer paused."""
    pauses = []
    supernet = small_supernet("full")
    data = HashingData(root, cache_dir=cache, eval_batch_size=5).prepare()
    scorer = ArchitectureScorer(supernet, data, Scoring(), torch.device("cpu"), pause=lambda: pauses.append(None))
    return scorer.scores(some(supernet.space, count)), len(pauses)


def small_supernet(space: str | SearchSpace, **arguments: Any) -> AudioVisualNetwork:
    torch.manual_seed(0)
    space = load_space(space) if isinstance(space, str) else space
    return AudioVisualNetwork(8, 6, 12, space, **{"width": 8, "heads": 2, "states": 2, "rank": 2, **arguments})


def some(space: SearchSpace, count: int, seed: int = 0) -> list[Any]:
    """Random architectures."""
    generator = np.random.default_rng(seed)
    return [space.sample(generator) for _ in range(count)]
