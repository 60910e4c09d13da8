"""The simplest temporal baseline: convolutions over time."""

import itertools

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.networks import BatchNorm, HashNetwork, Route


class Convolutions(HashNetwork):
    """Convolves both modalities over time, side by side, and pools by mean and maximum.

    Each layer is a full (not depthwise) convolution with zeros at both ends, then ReLU and dropout. Mean and maximum
    over time, side by side, pass FC -> tanh.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        hidden: Channels of every layer.
        layers: Number of layers, at least 1.
        kernel: Time steps that a convolution spans, odd.
        dropout: Dropout after each layer.
        balance: Batch-normalize every bit's value before tanh, for balanced bits.
    """

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        *,
        hidden: int = 128,
        layers: int = 2,
        kernel: int = 5,
        dropout: float = 0.1,
        balance: bool = False,
    ) -> None:
        super().__init__()
        self.bits = bits
        widths = [visual_dim + audio_dim, *[hidden] * layers]
        self.body = nn.Sequential(
            *(
                module
                for before, after in itertools.pairwise(widths)
                for module in (nn.Conv1d(before, after, kernel, padding="same"), nn.ReLU(), nn.Dropout(dropout))
            )
        )
        self.last = nn.Sequential(
            nn.Linear(2 * hidden, bits), BatchNorm(bits, affine=False) if balance else nn.Identity()
        )

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        channels = self.body(torch.cat([visual, audio], dim=2).transpose(1, 2))
        return torch.tanh(self.last(torch.cat([channels.mean(dim=2), channels.amax(dim=2)], dim=1)))

    @property
    @override
    def head(self) -> nn.Module:
        """What follows the pooling."""
        return self.last
