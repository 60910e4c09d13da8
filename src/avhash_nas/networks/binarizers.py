"""Signs with a gradient: the ways in which networks that train on binary codes let a gradient through."""

import torch
from torch import Tensor


def hard_sign(x: Tensor) -> Tensor:
    """Sign(x), Sign(0) = +1, with the gradient of the hard tanh: 1 where |x| < 1, 0 elsewhere.

    What BTH, DKPH, ConMH and S5VH binarize with. Their code rounds (clip(x, -1, 1) + 1) / 2, half to even, so that it
    codes 0 as -1; SSTH's rounds half up, as this does.

    Args:
        x: Of any shape.

    Returns:
        Of the same shape, values -1 and +1.
    """
    clipped = x.clamp(-1, 1)
    return clipped + (_sign(x) - clipped).detach()


def identity_sign(x: Tensor) -> Tensor:
    """Sign(x), Sign(0) = +1, with the gradient clipped to [-1, 1], entry by entry: MCMSH's.

    Args:
        x: Of any shape.

    Returns:
        Of the same shape, values -1 and +1.
    """
    signs: Tensor = _ClippedGradient.apply(x)  # type: ignore[no-untyped-call]
    return signs


def _sign(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


class _ClippedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:  # noqa: ARG004 - nothing to keep
        return _sign(x)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:  # noqa: ARG004
        return gradient.clamp(-1, 1)
