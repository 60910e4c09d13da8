"""Fusion of two streams with a learned gate (Table 1, type F; the plain sum is `Add`)."""

import torch
from torch import Tensor, nn

from avhash_nas.operators.operator import Operator, check_positive


class GatedAttention(Operator):
    """Z = rho X + (1 - rho) Y with one rho for each time step: softmax(tanh(W [X; Y])) over the two streams.

    Table 1 calls rho learnable and gives no formula; this one is the authors' code. It keeps rho between 0.119 and
    0.881.

    Args:
        width: D, of both inputs and of the output.
    """

    name = "gated_attention"
    kinds = "F"

    def __init__(self, *, width: int) -> None:
        super().__init__()
        check_positive(type(self), width=width)
        self.gate = nn.Linear(2 * width, 2)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps two sequences (B, T, D) to one."""
        rho = torch.tanh(self.gate(torch.cat((x, y), dim=-1))).softmax(dim=-1)[..., :1]  # (B, T, 1)
        return rho * x + (1 - rho) * y
