"""Checks that a seed determines everything, in this process and in others."""

import multiprocessing
import os
import pickle
import random
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from avhash_nas.testing.bench import Make
from avhash_nas.testing.compare import difference
from avhash_nas.testing.recorder import recorded_search, shared_search


def seed_determines_everything(make: Make) -> None:
    """Two searches with one seed take the same steps and end the same, whatever the global random states."""
    first = shared_search(make).outcome()
    for scramble in (random.seed, np.random.seed, torch.manual_seed):
        scramble(1)
    different = difference(first, recorded_search(make).outcome())
    assert different is None, f"a second search with the same seed differs: {different}"


def another_process_gives_the_same(make: Make) -> None:
    """A search in another process, where strings have other hashes and sets another order, gives the same."""
    try:
        pickled = pickle.dumps(make)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(
            f"another process cannot make the strategy; give its class, or functools.partial of it: {error}"
        ) from error
    with patch.dict(os.environ, PYTHONHASHSEED="1"):  # read when the process starts
        outcome = _another_process().submit(_outcome, pickled, torch.get_num_threads()).result()
    different = difference(shared_search(make).outcome(), pickle.loads(outcome))
    assert different is None, f"a search with the same seed differs in another process: {different}"


@cache
def _another_process() -> ProcessPoolExecutor:
    """One process for all checks, as starting it takes seconds."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def _outcome(pickled: bytes, threads: int) -> bytes:
    torch.set_num_threads(threads)
    outcome: dict[str, Any] = recorded_search(pickle.loads(pickled)).outcome()
    return pickle.dumps(outcome)
