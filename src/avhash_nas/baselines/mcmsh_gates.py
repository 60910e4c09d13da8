"""MC-MLP, the encoder of MCMSH: an MLP mixer with gates that look at all, some or the neighboring places."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from avhash_nas.networks import BatchNorm
from avhash_nas.operators.dropout import Dropout

Reach: TypeAlias = Literal["long", "middle", "short"]
_POOLED_TO_A_THIRD = 3


class Gate(nn.Module):
    """x -> A x -> sigmoid(gate(A x)) * A x -> B of it, where A and B mix the places of a sequence linearly.

    The gate squeezes the channels by linear maps or convolutions along the places, with batch normalization and ReLU,
    and widens them again. It is called LRD where it looks at the mean of all places (squeeze and excitation), MRD
    where at means over parts, a third as many as there are places, each with its neighbors, and SRD where at each
    place with its neighbors.

    Args:
        places: N.
        channels: C.
        reduction: r; the gate is squeezed to C // r channels.
        reach: How far the gate looks: `long` LRD, `middle` MRD, `short` SRD.
        groups: Of MRD's and SRD's convolutions.
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
        """Gated sequences, (B, C, N).

        Args:
            x: (B, C, N).
        """
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
        """The released code's initial weights."""
        if self.reach == "long":
            nn.init.normal_(self.squeeze.weight, std=0.001)
            nn.init.normal_(self.widen.weight, std=0.001)
        else:
            nn.init.kaiming_normal_(self.squeeze.weight, mode="fan_out", nonlinearity="relu")
            nn.init.xavier_normal_(self.widen.weight)


class Gates(nn.Module):
    """The sum of the three gates.

    Args:
        places: N.
        channels: C.
        reduction: r.
        groups: Of the convolutions.
    """

    def __init__(self, places: int, channels: int, reduction: int, groups: int) -> None:
        super().__init__()
        self.long = Gate(places, channels, reduction, "long", groups)
        self.middle = Gate(places, channels, reduction, "middle", groups)
        self.short = Gate(places, channels, reduction, "short", groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C).

        Args:
            x: (B, N, C).
        """
        x = x.mT.contiguous()
        summed: Tensor = self.long(x) + self.middle(x) + self.short(x)
        return summed.mT


class Mixer(nn.Module):
    """x + gates(MLP(x)); the MLP mixes the last dimension and is twice as wide inside.

    Args:
        places: N.
        channels: C.
        reduction: r of the gates.
        groups: Of the gates' convolutions.
        dropout: Behind both layers of the MLP.
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
        """(B, N, C).

        Args:
            x: (B, N, C).
        """
        mixed: Tensor = x + self.gates(self.mlp(x))
        return mixed


class GatedMixer(nn.Module):
    """MC-MLP: a linear map with ReLU, a mixer of time steps, a mixer of channels, and gates once more.

    Args:
        features_dim: F.
        frames: T, at least 4.
        width: D, a multiple of 16.
        dropout: Of the mixers' MLPs.
    """

    def __init__(self, features_dim: int, frames: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Linear(features_dim, width)
        self.over_time = Mixer(width, frames, reduction=4, groups=1, dropout=dropout)
        self.over_channels = Mixer(frames, width, reduction=16, groups=width // 16, dropout=dropout)
        self.gates = Gates(frames, width, reduction=16, groups=width // 16)

    def forward(self, features: Tensor) -> Tensor:
        """Hidden vectors, (B, T, D).

        Args:
            features: (B, T, F).
        """
        x = torch.relu(self.embedding(features))
        x = self.over_time(x.mT).mT
        hidden: Tensor = self.gates(self.over_channels(x))
        return hidden
