"""Depthwise, causal convolutions over time (Table 1, type M)."""

from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.kernels import Filter, causal_filter
from avhash_nas.operators.operator import Operator, check_positive


class CausalConv1d(nn.Conv1d):
    """Depthwise, causal convolution over time: step t depends on the inputs t - kernel + 1 to t.

    Parameters are those of `nn.Conv1d`: weight (W, 1, kernel) and bias (W,). Steps before the first count as zero.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        return causal_filter(x, self.weight.squeeze(1), self.bias)


class Convolution(Operator):
    """Z = Conv1d_k(X), depthwise and causal.

    Table 1 prints only Conv1d_k. The parameter counts of Table 2 rule out a full convolution, and the authors' code is
    depthwise and causal, as in Mamba.

    Args:
        width: W, of input and output.
    """

    kinds = "M"
    kernel: ClassVar[int]

    def __init__(self, *, width: int) -> None:
        super().__init__()
        check_positive(type(self), width=width)
        self.conv1d = CausalConv1d(width, self.kernel)

    @override
    def as_filter(self, x: Tensor) -> Filter:
        return Filter(self.conv1d.weight.squeeze(1), self.conv1d.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        z: Tensor = self.conv1d(x)
        return z


class Conv3(Convolution):
    """Depthwise, causal convolution over 3 time steps."""

    name = "conv3"
    kernel = 3


class Conv4(Convolution):
    """Depthwise, causal convolution over 4 time steps."""

    name = "conv4"
    kernel = 4


class Conv5(Convolution):
    """Depthwise, causal convolution over 5 time steps."""

    name = "conv5"
    kernel = 5
