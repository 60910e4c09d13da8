"""Sign functions with a gradient, for networks that train on binary codes."""

import torch
from torch import Tensor
from typing_extensions import override


def hard_sign(x: Tensor) -> Tensor:
    """Sign(x), Sign(0) = +1, with the gradient of the hard tanh: 1 where |x| < 1, 0 elsewhere.

    Used by BTH, DKPH, ConMH and S5VH. Their code rounds (clip(x, -1, 1) + 1) / 2, half to even, so that 0 becomes -1;
    that of SSTH rounds half up, as here.
    """
    clipped = x.clamp(-1, 1)
    return clipped + (_sign(x) - clipped).detach()


def identity_sign(x: Tensor) -> Tensor:
    """Sign(x), Sign(0) = +1, with the gradient clipped elementwise to [-1, 1], as in MCMSH."""
    signs: Tensor = _ClippedGradient.apply(x)  # type: ignore[no-untyped-call]
    return signs


def _sign(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


class _ClippedGradient(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: object, x: Tensor) -> Tensor:
        return _sign(x)

    @staticmethod
    @override
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient.clamp(-1, 1)
