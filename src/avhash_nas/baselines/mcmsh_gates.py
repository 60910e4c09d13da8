"""MC-MLP, the encoder of MCMSH: an MLP mixer with gates over all, some or the neighboring positions."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from avhash_nas.networks import BatchNorm
from avhash_nas.operators.dropout import Dropout

Reach: TypeAlias = Literal["long", "middle", "short"]
_POOLED_TO_A_THIRD = 3


class Gate(nn.Module):
    """B(sigmoid(gate(A x)) * A x), where A and B mix the positions of a sequence linearly.

    The gate reduces the channels by linear maps or convolutions over the positions, with batch normalization and ReLU,
    and expands them again. Its input is the mean of all positions (`long`, the paper's LRD: squeeze and excitation),
    means over N // 3 parts of the sequence (`middle`, MRD), or each position (`short`, SRD); the convolutions of the
    last two cover three neighbors.

    Args:
        places: N, number of positions.
        channels: C.
        reduction: r; the gate has C // r channels inside.
        reach: Range of the gate.
        groups: Groups of MRD's and SRD's convolutions.
    """

    def __init__(self, places: int, channels: int, reduction: int, reach: Reach, groups: int) -> None:
        super().__init__()
        narrow = channels // reduction
        self.reach = reach
        self.pooled = max(1, places // _POOLED_TO_A_THIRD)
        self.mix_in = nn.Linear(places, places)
        size = 1 if reach == "long" else 3
        parts = 1 if reach == "long" else groups
        self.squeeze = nn.Conv1d(channels, narrow, size, padding=size // 2, bias=False, groups=parts)
        self.squeeze_norm = BatchNorm(narrow)
        self.widen = nn.Conv1d(narrow, channels, size, padding=size // 2, bias=False, groups=parts)
        self.widen_norm = BatchNorm(channels)
        self.mix_out = nn.Linear(places, places)
        self._start()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, N) to (B, C, N)."""
        x = self.mix_in(x)
        seen = x
        if self.reach == "long":
            seen = x.mean(dim=2, keepdim=True)
        elif self.reach == "middle":
            seen = functional.adaptive_avg_pool1d(x, self.pooled)
        gate = torch.relu(self.squeeze_norm(self.squeeze(seen)))
        gate = torch.sigmoid(self.widen_norm(self.widen(gate)))
        if self.reach == "middle":
            gate = functional.adaptive_avg_pool1d(gate, x.shape[2])
        gated: Tensor = self.mix_out(x * gate)
        return gated

    def _start(self) -> None:
        """Initializes the weights as the released code does."""
        if self.reach == "long":
            nn.init.normal_(self.squeeze.weight, std=0.001)
            nn.init.normal_(self.widen.weight, std=0.001)
        else:
            nn.init.kaiming_normal_(self.squeeze.weight, mode="fan_out", nonlinearity="relu")
            nn.init.xavier_normal_(self.widen.weight)


class Gates(nn.Module):
    """The sum of the three gates, with the arguments of `Gate`."""

    def __init__(self, places: int, channels: int, reduction: int, groups: int) -> None:
        super().__init__()
        self.long = Gate(places, channels, reduction, "long", groups)
        self.middle = Gate(places, channels, reduction, "middle", groups)
        self.short = Gate(places, channels, reduction, "short", groups)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, N, C) to (B, N, C)."""
        x = x.mT.contiguous()
        summed: Tensor = self.long(x) + self.middle(x) + self.short(x)
        return summed.mT


class Mixer(nn.Module):
    """x + gates(MLP(x)); the MLP mixes the last dimension, is twice as wide inside, and has dropout after both layers.

    The other arguments are those of `Gate`.
    """

    def __init__(self, places: int, channels: int, reduction: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(2 * channels, channels),
            Dropout(dropout),
        )
        self.gates = Gates(places, channels, reduction, groups)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, N, C) to (B, N, C)."""
        mixed: Tensor = x + self.gates(self.mlp(x))
        return mixed


class GatedMixer(nn.Module):
    """MC-MLP: a linear map with ReLU, a mixer of time steps, a mixer of channels, and gates once more.

    Args:
        features_dim: F.
        frames: T, at least 4.
        width: D, a multiple of 16.
        dropout: Dropout of the mixers' MLPs.
    """

    def __init__(self, features_dim: int, frames: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Linear(features_dim, width)
        self.over_time = Mixer(width, frames, reduction=4, groups=1, dropout=dropout)
        self.over_channels = Mixer(frames, width, reduction=16, groups=width // 16, dropout=dropout)
        self.gates = Gates(frames, width, reduction=16, groups=width // 16)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (B, T, F) to hidden vectors (B, T, D)."""
        x = torch.relu(self.embedding(features))
        x = self.over_time(x.mT).mT
        hidden: Tensor = self.gates(self.over_channels(x))
        return hidden
