"""Codes: from real values to signs, and from signs to bits packed 8 to a byte."""

import torch
from torch import Tensor

from avhash_nas.errors import AvnasError

_SMALLEST_HALF = 2.0**-24


def binarize(values: Tensor) -> Tensor:
    """Takes the sign, with Sign(0) = +1 (AV-NAS, footnote 1; the authors' code uses `torch.sign`, where 0 stays 0).

    Args:
        values: Real values, shape (n, q).

    Returns:
        Codes in {-1, +1}, int8, shape (n, q).

    Raises:
        AvnasError: If the shape is not (n, q) or a value is nan.

    Example:
        >>> binarize(torch.tensor([[0.3, -0.0, -2.0]]))
        tensor([[ 1,  1, -1]], dtype=torch.int8)
    """
    return _bits(values).to(torch.int8) * 2 - 1


def pack(codes: Tensor) -> Tensor:
    """Packs codes 8 bits to a byte, the first bit of a code in the highest place (numpy's and FAISS's "big" bit order).

    Args:
        codes: Shape (n, q): bool, or numbers (real values or signs), of which those >= 0 become bit 1.

    Returns:
        Packed codes, uint8, shape (n, ceil(q / 8)). The places past q in the last byte hold 0.

    Raises:
        AvnasError: If the shape is not (n, q) or a value is nan.

    Example:
        >>> pack(torch.tensor([[1, -1, -1, -1, -1, -1, -1, 1, 1]]))
        tensor([[129, 128]], dtype=torch.uint8)
    """
    bits = codes if codes.dtype == torch.bool else _bits(codes)
    if bits.ndim != 2:
        raise AvnasError(f"codes: expected shape (n, q), got {tuple(bits.shape)}")
    rows, width = bits.shape
    whole = torch.zeros(rows, -(-width // 8), 8, dtype=torch.uint8, device=bits.device)
    whole.view(rows, whole.shape[1] * 8)[:, :width] = bits
    places = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=bits.device)
    return (whole * places).sum(dim=2, dtype=torch.uint8)


def unpack(packed: Tensor, bits: int) -> Tensor:
    """Undoes `pack`.

    Args:
        packed: Packed codes, uint8, shape (n, ceil(bits / 8)).
        bits: Length q of a code.

    Returns:
        Codes in {-1, +1}, int8, shape (n, q).

    Raises:
        AvnasError: If the packed codes do not have room for that many bits, or for 8 more.

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
    """Rounds to float16 so that every sign stays, and with it every bit of the code.

    Plain rounding turns small negative values into -0, which is not below 0; here they become the float16 next to it.

    Args:
        values: Real values, any shape.

    Returns:
        float16, the same shape.
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
