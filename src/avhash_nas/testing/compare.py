"""Exact snapshots of values, and the first difference of two snapshots."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def frozen(value: Any) -> Any:
    """An independent copy: tensors detached and on the CPU, dataclass objects as mappings."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: frozen(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: frozen(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(frozen, value)) if type(value) in (list, tuple) else tuple(map(frozen, value))
    return copy.deepcopy(value)


def difference(one: Any, other: Any, place: str = "") -> str | None:
    """The first place where two frozen values differ, with both values; None if they are equal bit for bit.

    >>> difference({"a": [1, 2.0]}, {"a": [1, 2.5]})
    'a.1: 2.0 and 2.5'
    """
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return None if _same(one, other) else f"{place}: {_shown(one, other)}"
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return f"{place}: {', '.join(map(str, one))} and {', '.join(map(str, other))}"
        pairs = [(key, one[key], other[key]) for key in one]
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = [(position, *pair) for position, pair in enumerate(zip(one, other))]
    else:
        same = one == other or (one != one and other != other)
        return None if same and type(one) is type(other) else f"{place}: {one!r} and {other!r}"
    differences = (difference(first, second, f"{place}.{key}".lstrip(".")) for key, first, second in pairs)
    return next((text for text in differences if text is not None), None)


def _same(one: Tensor, other: Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(*(tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)))


def _shown(one: Tensor, other: Tensor) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype} {tuple(one.shape)} and {other.dtype} {tuple(other.shape)}"
    apart = (one.double() - other.double()).abs().max().item() if one.numel() else 0.0
    return f"{int((one != other).sum())} of {one.numel()} values differ, by {apart:.2g} at most"
