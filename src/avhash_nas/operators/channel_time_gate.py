"""LINK's attention over channels and time: two gates, one after the other."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.operators.operator import Operator

Axes = Literal["channel_time", "swapped"]


class ChannelTimeGate(Operator):
    """F^ = S(W * F) * (W * F), after CBAM (Woo et al., ECCV 2018), in LINK's reading for sequences.

    W = sigmoid(MLP(avg F) + MLP(max F)) with one MLP, a channel gate of shape (1, W): both pools are over time.
    S = sigmoid(conv [avg F; max F]), a gate of each time step of shape (T, 1): average and maximum are over channels,
    and a convolution of width 3 over time makes one map of the two. The paper does not say over which axis either
    pools, how wide the MLP is, or what makes one map of two; `axes="swapped"` is the other reading, in which the MLP
    works on each time step's average and maximum and the convolution on those of channels.

    Args:
        width: W, of input and output.
        reduction: Width of the MLP's hidden layer is W / reduction, at least 1.
        axes: The reading.

    Raises:
        AvnasError: An option has an invalid value.
    """

    name = "channel_time_gate"
    kinds = "M"

    def __init__(self, *, width: int, reduction: int = 16, axes: Axes = "channel_time") -> None:
        super().__init__()
        if axes not in get_args(Axes):
            raise AvnasError(f"axes: {axes!r} is none of {', '.join(get_args(Axes))}")
        if reduction < 1:
            raise AvnasError(f"reduction: expected at least 1, got {reduction}")
        self.axes = axes
        ends = width if axes == "channel_time" else 1
        hidden = max(1, width // reduction)
        self.mlp = nn.Sequential(nn.Linear(ends, hidden), nn.ReLU(), nn.Linear(hidden, ends))
        self.map = nn.Conv1d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        over_time = self.axes == "channel_time"
        pools = [x.mean(dim=1), x.amax(dim=1)] if over_time else [x.mean(dim=2)[..., None], x.amax(dim=2)[..., None]]
        first = torch.stack([self.mlp(pool) for pool in pools]).sum(dim=0).sigmoid()
        gated = (first[:, None, :] if over_time else first) * x
        axis = 2 if over_time else 1
        second = self.map(torch.stack([gated.mean(dim=axis), gated.amax(dim=axis)], dim=1)).sigmoid()  # (B, 1, T or W)
        z: Tensor = (second.transpose(1, 2) if over_time else second) * gated
        return z
