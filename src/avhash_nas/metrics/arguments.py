"""Checks of the arguments of `evaluate`: each raises AvnasError with one line that names the argument."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from avhash_nas.errors import AvnasError
from avhash_nas.metrics.hamming import check_packed
from avhash_nas.metrics.ranking import Integers
from avhash_nas.metrics.scores import Ties


def check_codes(queries: Tensor, database: Tensor, bits: int | None) -> int:
    """Checks that queries and items have packed codes of one length, and returns that length in bits."""
    for codes, name in ((queries, "query_codes"), (database, "database_codes")):
        check_packed(codes, name)
        if len(codes) == 0:
            raise AvnasError(f"{name}: empty; an evaluation needs at least one query and one item")
    width = queries.shape[1]
    if database.shape[1] != width:
        raise AvnasError(
            f"query_codes have {width} bytes, database_codes {database.shape[1]}; encode both with one network"
        )
    if bits is None:
        return width * 8
    if -(-bits // 8) != width:
        raise AvnasError(f"bits: codes of {width} bytes hold {width * 8 - 7} to {width * 8} bits, got {bits}")
    unused = (1 << (width * 8 - bits)) - 1
    if bool((queries[:, -1] & unused).any() | (database[:, -1] & unused).any()):
        raise AvnasError(f"bits: some codes have bits set past the first {bits}; give their full length")
    return bits


def check_labels(query_codes: Tensor, query_labels: Tensor, database_codes: Tensor, database_labels: Tensor) -> None:
    """Checks that labels are bool matrices over the same classes, one row per code."""
    for name, labels, rows in (
        ("query_labels", query_labels, len(query_codes)),
        ("database_labels", database_labels, len(database_codes)),
    ):
        if labels.dtype != torch.bool or labels.ndim != 2 or len(labels) != rows:
            raise AvnasError(
                f"{name}: expected bool of shape ({rows}, C), got {labels.dtype} of shape {tuple(labels.shape)}; "
                "convert class numbers to one column per class"
            )
    if query_labels.shape[1] != database_labels.shape[1]:
        raise AvnasError(
            f"query_labels have {query_labels.shape[1]} classes, database_labels {database_labels.shape[1]}; "
            "both need the same columns"
        )


def check_options(ks: Sequence[int | None], ties: Ties, memory: int) -> None:
    """Checks each K, the name of the tie rule and the memory."""
    for k in ks:
        if k is not None and (not hasattr(k, "__index__") or k < 1):
            raise AvnasError(f"ks: expected whole numbers of at least 1, or None for the whole database, got {k}")
    if ties not in get_args(Ties):
        raise AvnasError(f"ties: expected one of {', '.join(get_args(Ties))}, got {ties!r}")
    if memory < 1:
        raise AvnasError(f"memory: expected a number of bytes above 0, got {memory}")


def check_ids(
    query_ids: Tensor | None, queries: int, database_ids: Tensor | None, items: int, exclude_self: bool
) -> tuple[Integers | None, Integers]:
    """Checks the ids. Returns the query ids, None without both, and the database ids, positions by default."""
    if exclude_self and (query_ids is None or database_ids is None):
        raise AvnasError("exclude_self: needs query_ids and database_ids")
    database = np.arange(items) if database_ids is None else _integers(database_ids, items, "database_ids")
    if len(np.unique(database)) != items:
        raise AvnasError("database_ids: an id occurs twice; ids must be distinct")
    own = None if query_ids is None else _integers(query_ids, queries, "query_ids")
    return None if database_ids is None else own, database


def own_positions(queries: Integers | None, database: Integers) -> Integers | None:
    """Position of each query's id among the distinct ids of the database, -1 if it is missing."""
    if queries is None:
        return None
    order = np.argsort(database)
    positions = order[np.searchsorted(database, queries, sorter=order).clip(max=len(database) - 1)]
    return np.where(database[positions] == queries, positions, -1)


def _integers(ids: Tensor, count: int, name: str) -> Integers:
    if ids.dtype != torch.int64 or ids.shape != (count,):
        raise AvnasError(f"{name}: expected int64 of shape ({count},), got {ids.dtype} of shape {tuple(ids.shape)}")
    return ids.cpu().numpy()
