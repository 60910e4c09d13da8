"""Unary operators: skip, SiLU and layer normalization (Table 1, type U; skip is also of type M)."""

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.kernels import Filter
from avhash_nas.operators.operator import Operator, check_positive


class Skip(Operator):
    """Z = X."""

    name = "skip"
    kinds = "MU"

    @override
    def as_filter(self, x: Tensor) -> Filter:
        return Filter(x.new_ones(x.shape[-1], 1), None)

    def forward(self, x: Tensor) -> Tensor:
        """Returns x itself."""
        return x


class SiLU(Operator):
    """Z = X * sigmoid(X)."""

    name = "silu"
    kinds = "U"

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        return nn.functional.silu(x)


class LayerNorm(Operator):
    """Layer normalization over the width of each time step, with scale and shift.

    Epsilon is 1e-5 (the authors' code: 1e-12).

    Args:
        width: W.
    """

    name = "layer_norm"
    kinds = "U"

    def __init__(self, *, width: int) -> None:
        super().__init__()
        check_positive(type(self), width=width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        normalized: Tensor = self.norm(x)
        return normalized
