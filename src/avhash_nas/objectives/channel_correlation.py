"""Correlation of the same channel on two sides of a batch: EERCF's intra-feature Pearson constraint."""

import torch
from torch import Tensor

from avhash_nas.errors import AvnasError


def channel_correlation(first: Tensor, second: Tensor, eps: float = 1e-6) -> Tensor:
    """Pearson's correlation of each channel over the batch.

    The authors' code divides by the unbiased deviation and by B, so that its correlation of equal channels is
    (B - 1) / B, and NaN for a constant channel; here they are 1 and 0.

    Args:
        first: (B, d), real.
        second: (B, d), the other side.
        eps: Least deviation that a channel is divided by.

    Returns:
        Shape (d,), in [-1, 1], float32 at least.

    Raises:
        AvnasError: The shapes differ.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise AvnasError(f"channels: expected two shapes (B, d), got {tuple(first.shape)} and {tuple(second.shape)}")
    standard = [_standardized(side if side.dtype == torch.float64 else side.float(), eps) for side in (first, second)]
    return (standard[0] * standard[1]).mean(dim=0)


def correlation_loss(first: Tensor, second: Tensor) -> Tensor:
    """Sum over the channels of (1 - correlation)^2: a scalar, 0 if each channel is a positive multiple of the other's.

    The paper also speaks of loosening different channels; the weight of that term in the authors' code is 0.

    Args:
        first: (B, d), real.
        second: (B, d), the other side.

    Raises:
        AvnasError: The shapes differ.
    """
    return (1 - channel_correlation(first, second)).square().sum()


def _standardized(side: Tensor, eps: float) -> Tensor:
    centered = side - side.mean(dim=0)
    deviation = centered.square().mean(dim=0).clamp(min=eps**2).sqrt()
    return centered / deviation
