"""Dropout with masks that are cheap to draw on a CPU."""

import torch
from torch import Tensor, nn

_LEVELS = 2**16


def dropout(x: Tensor, probability: float) -> Tensor:
    """Drops each value with a probability and scales up what is kept, so that the mean stays.

    torch draws one random number for each value, which on a CPU takes longer than all else that dropout does. Here one
    of 64 bits serves four values: the probability is rounded to a multiple of 2^-16, and the scale goes by the rounded
    one. Elsewhere, and in compiled graphs, it is torch's own dropout.

    Args:
        x: Any shape.
        probability: At least 0 and below 1.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return nn.functional.dropout(x, probability)
    dropped = min(round(probability * _LEVELS), _LEVELS - 1)
    if dropped == 0:
        return x
    drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = drawn.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - _LEVELS // 2
    return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


class Dropout(nn.Dropout):
    """`dropout` while training."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps any shape to itself."""
        return dropout(x, self.p) if self.training and self.p else x
