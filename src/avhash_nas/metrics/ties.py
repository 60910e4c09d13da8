"""The order of items at one Hamming distance, drawn from a seed and who the items are, not where they lie."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Ids: TypeAlias = npt.NDArray[np.int64]


def tie_order(ids: Ids, seed: int) -> npt.NDArray[np.int64]:
    """Permutes a database in a way that depends on the seed and the set of ids, and not on the order they come in.

    Each id is scrambled together with the seed by the finaliser of SplitMix64 (Steele, Lea and Flood 2014), which maps
    distinct ids to distinct keys, and the database is sorted by these keys.

    Args:
        ids: Distinct ids, shape (n,).
        seed: Any integer.

    Returns:
        Positions in the database, shape (n,), such that `ids[order]` is the same for every order of the same ids.
    """
    start = _scramble(np.array([seed % 2**64], np.uint64))
    return np.argsort(_scramble(ids.astype(np.uint64) ^ start), kind="stable")


def ids_from_names(names: Iterable[str]) -> Tensor:
    """Turns names of videos into integer ids that do not depend on the order of a file (first 8 bytes of BLAKE2b).

    Args:
        names: The videos' names.

    Returns:
        Ids, int64, shape (n,).

    Example:
        >>> ids_from_names(["a", "b"])[1] == ids_from_names(["b"])[0]
        tensor(True)
    """
    digests = b"".join(blake2b(name.encode(), digest_size=8).digest() for name in names)
    return torch.from_numpy(np.frombuffer(digests, "<i8").astype(np.int64))


def _scramble(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
