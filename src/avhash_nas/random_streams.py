"""Random numbers for building networks, without touching anyone else's."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator within the block and put its former state back behind it."""
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(state)


def stage_seed(seed: int, stage: int) -> int:
    """A seed of its own for each stage: 0 the search, 1 what trains a plain network."""
    return int(np.random.SeedSequence((seed, stage)).generate_state(1)[0])
