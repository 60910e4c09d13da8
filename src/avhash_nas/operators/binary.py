"""Binary operators: sum and product (Table 1, type D; the sum is also of type F), and gated fusion (type F)."""

import torch
from torch import Tensor, nn

from avhash_nas.operators.operator import Operator, check_positive


class Add(Operator):
    """Z = X + Y."""

    name = "add"
    kinds = "DF"

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps two sequences (B, T, W) to their sum."""
        return x + y


class Hadamard(Operator):
    """Z = X * Y, element by element."""

    name = "hadamard"
    kinds = "D"

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps two sequences (B, T, W) to their product."""
        return x * y


class GatedAttention(Operator):
    """Z = rho X + (1 - rho) Y with one rho per time step: softmax(tanh(W [X; Y])) over the two streams.

    Table 1 calls rho learnable without a formula; this one is from the authors' code. It limits rho to [0.119, 0.881].

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
