"""Checks that a seed decides everything, in this process and in others."""

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
from avhash_nas.testing.recorder import once_watched, watched


def a_seed_decides_everything(make: Make) -> None:
    """Two searches by one seed take the same steps, whatever the global random numbers, and choose the same."""
    first = once_watched(make).outcome()
    for scramble in (random.seed, np.random.seed, torch.manual_seed):
        scramble(1)
    different = difference(first, watched(make).outcome())
    assert different is None, f"a second search by the same seed goes another way: {different}"


def another_process_finds_the_same(make: Make) -> None:
    """So does a search in another process, where strings have other hashes and sets another order."""
    try:
        pickled = pickle.dumps(make)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(
            f"another process cannot make the strategy; give its class, or functools.partial of it: {error}"
        ) from error
    with patch.dict(os.environ, PYTHONHASHSEED="1"):  # read when the process starts
        answer = _another_process().submit(_outcome, pickled, torch.get_num_threads()).result()
    different = difference(once_watched(make).outcome(), pickle.loads(answer))
    assert different is None, f"another process goes another way by the same seed: {different}"


@cache
def _another_process() -> ProcessPoolExecutor:
    """One process for all checks, as starting takes seconds."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def _outcome(pickled: bytes, threads: int) -> bytes:
    torch.set_num_threads(threads)
    outcome: dict[str, Any] = watched(pickle.loads(pickled)).outcome()
    return pickle.dumps(outcome)
