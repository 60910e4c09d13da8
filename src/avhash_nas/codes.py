"""Binarization of relaxed codes, and packing of codes 8 bits to a byte."""

import torch
from torch import Tensor

from avhash_nas.errors import AvnasError

_SMALLEST_HALF = 2.0**-24


def binarize(values: Tensor) -> Tensor:
    """Takes the sign, with Sign(0) = +1 (AV-NAS, footnote 1; the authors' code uses `torch.sign`, where 0 stays 0).

    Args:
        values: Relaxed codes, shape (n, q).

    Returns:
        Codes in {-1, +1}, int8, shape (n, q).

    Raises:
        AvnasError: The shape is not (n, q), or a value is nan.

    Example:
        >>> binarize(torch.tensor([[0.3, -0.0, -2.0]]))
        tensor([[ 1,  1, -1]], dtype=torch.int8)
    """
    return _bits(values).to(torch.int8) * 2 - 1


def pack(codes: Tensor) -> Tensor:
    """Packs codes 8 bits to a byte, most significant bit first (the "big" bit order of numpy and FAISS).

    Args:
        codes: Shape (n, q): bool, or numbers (relaxed codes or signs), where values >= 0 become bit 1.

    Returns:
        Packed codes, uint8, shape (n, ceil(q / 8)), zero-padded in the last byte.

    Raises:
        AvnasError: The shape is not (n, q), or a value is nan.

    Example:
        >>> pack(torch.tensor([[1, -1, -1, -1, -1, -1, -1, 1, 1]]))
        tensor([[129, 128]], dtype=torch.uint8)
    """
    bits = codes if codes.dtype == torch.bool else _bits(codes)
    if bits.ndim != 2:
        raise AvnasError(f"codes: expected shape (n, q), got {tuple(bits.shape)}")
    rows, width = bits.shape
    padded = torch.zeros(rows, -(-width // 8), 8, dtype=torch.uint8, device=bits.device)
    padded.view(rows, padded.shape[1] * 8)[:, :width] = bits
    weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=bits.device)
    return (padded * weights).sum(dim=2, dtype=torch.uint8)


def unpack(packed: Tensor, bits: int) -> Tensor:
    """Inverse of `pack`.

    Args:
        packed: Packed codes, uint8, shape (n, ceil(bits / 8)).
        bits: Code length q.

    Returns:
        Codes in {-1, +1}, int8, shape (n, q).

    Raises:
        AvnasError: The width of the packed codes does not match the number of bits.

    Example:
        >>> unpack(torch.tensor([[129, 128]], dtype=torch.uint8), bits=9)
        tensor([[ 1, -1, -1, -1, -1, -1, -1,  1,  1]], dtype=torch.int8)
    """
    if packed.dtype != torch.uint8 or packed.ndim != 2 or packed.shape[1] != -(-bits // 8):
        raise AvnasError(
            f"packed codes: expected uint8 of shape (n, {-(-bits // 8)}) for {bits} bits, "
            f"got {packed.dtype} of shape {tuple(packed.shape)}"
        )
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=packed.device)
    ones = (packed[:, :, None] >> shifts) & 1  # (n, ceil(q / 8), 8)
    return ones.reshape(len(packed), packed.shape[1] * 8)[:, :bits].to(torch.int8) * 2 - 1


def halve(values: Tensor) -> Tensor:
    """Rounds values of any shape to float16 and preserves every sign, hence every bit of the code.

    Plain rounding turns small negative values into -0, which counts as +1; here they become the next float16 below 0.
    """
    half = values.to(torch.float16)
    return torch.where((half == 0) & (values < 0), -_SMALLEST_HALF, half)


def _bits(values: Tensor) -> Tensor:
    if values.ndim != 2:
        raise AvnasError(f"codes: expected shape (n, q), got {tuple(values.shape)}")
    if values.is_floating_point() and bool(values.isnan().any()):
        row = int(values.isnan().any(dim=1).nonzero()[0])
        raise AvnasError(f"codes: row {row} has nan; a code needs finite values (did training diverge?)")
    return values >= 0
