"""Random order of tied items, drawn from a seed and the items' ids, independent of their positions."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Ids: TypeAlias = npt.NDArray[np.int64]


def tie_order(ids: Ids, seed: int) -> npt.NDArray[np.int64]:
    """Draws a permutation of a database that depends on the seed and the set of ids, but not on their order.

    The database is sorted by keys: the ids, hashed with the seed by the finalizer of SplitMix64 (Steele, Lea and Flood
    2014), which maps distinct ids to distinct keys.

    Args:
        ids: Distinct ids, shape (n,).
        seed: Any integer.

    Returns:
        Positions in the database, shape (n,), such that `ids[order]` is the same for every order of the same ids.
    """
    start = _hash(np.array([seed % 2**64], np.uint64))
    return np.argsort(_hash(ids.astype(np.uint64) ^ start), kind="stable")


def ids_from_names(names: Iterable[str]) -> Tensor:
    """Integer ids of video names, int64, shape (n,): the first 8 bytes of BLAKE2b.

    Example:
        >>> ids_from_names(["a", "b"])[1] == ids_from_names(["b"])[0]
        tensor(True)
    """
    digests = b"".join(blake2b(name.encode(), digest_size=8).digest() for name in names)
    return torch.from_numpy(np.frombuffer(digests, "<i8").astype(np.int64))


def _hash(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
