"""Binary operators without parameters: sum and product (Table 1, type D; the sum is also of type F)."""

from torch import Tensor

from avhash_nas.operators.operator import Operator


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
