"""Keyed random numbers: every draw of a run is a function of the seed, its purpose and where in the run it happens.

Nothing is drawn from a generator that lives on, so that all ranks draw alike and a resumed run draws what an
uninterrupted one draws. The keys of all streams stand here; they are part of what makes results reproducible.

| purpose | function | key |
|---|---|---|
| batches of an epoch, splits of the training videos | `batch_stream` | seed; epoch, batch + 1 (0: the epoch) |
| a strategy's draws, by a name of its own | `stream` | seed; CRC-32 of the name, counters |
| dropout and augmentation of a weight step | `weight_step_seed` | seed, epoch, batch, rank |
| the same of a strategy's own step before it | `architecture_step_seed` | seed, epoch, batch, rank, 1 |
| a stage of a run | `stage_seed` | seed, stage |
| a library that takes one integer | `library_seed` | seed |
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np


class StageKey(IntEnum):
    """Stages of a run that draw independently."""

    SEARCH = 0
    PLAIN = 1
    """Training of a network without choices: pretraining, fine-tuning, candidates trained alone."""


def stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """The generator of one purpose at one point of a run.

    Args:
        seed: Seed of the run, at least 0.
        purpose: What is drawn. Different purposes draw independently under the same seed and counters, and
            independently of what samples the batches.
        counters: Where in the run: epoch and batch, or generation.

    >>> int(stream(0, "paths", 3, 1).integers(1000)) == int(stream(0, "paths", 3, 1).integers(1000))
    True
    """
    return _philox(seed, zlib.crc32(purpose.encode()), *counters)


def batch_stream(seed: int, epoch: int, batch: int | None = None) -> np.random.Generator:
    """The generator that samples training batches.

    Args:
        seed: Seed of the run, at least 0.
        epoch: Epoch, from 0.
        batch: Batch of the epoch, from 0; None for the epoch as a whole.
    """
    return _philox(seed, epoch, 0 if batch is None else batch + 1)


def weight_step_seed(seed: int, epoch: int, batch: int, rank: int) -> int:
    """Seed of torch's generators in a weight step: dropout and augmentation."""
    return _torch_seed(seed, epoch, batch, rank)


def architecture_step_seed(seed: int, epoch: int, batch: int, rank: int) -> int:
    """Seed of torch's generators in a strategy's own step before a weight step."""
    return _torch_seed(seed, epoch, batch, rank, 1)


def stage_seed(seed: int, stage: StageKey) -> int:
    """Seed of one stage of a run."""
    return int(np.random.SeedSequence((seed, stage)).generate_state(1)[0])


def library_seed(seed: int) -> int:
    """A 31-bit seed, well mixed, for a library that takes one integer."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator within the block and restore its former state behind it."""
    import torch

    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(state)


def _philox(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def _torch_seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1
