"""The simplest baseline: mean pooling and a two-layer MLP."""

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.networks import BatchNorm, HashNetwork, Route


class MeanPoolMLP(HashNetwork):
    """Averages each modality over time, concatenates, and maps by FC -> ReLU -> dropout -> FC -> tanh.

    It ignores time and the interaction of modalities, and is hard to beat on small data.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        hidden: Width of the hidden layer.
        dropout: Dropout after the hidden layer.
        input_dropout: Elementwise dropout of the pooled features.
        balance: Batch-normalize every bit's value before tanh, for balanced bits.
    """

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        *,
        hidden: int = 512,
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        balance: bool = False,
    ) -> None:
        super().__init__()
        self.modalities = tuple(name for name, dim in (("visual", visual_dim), ("audio", audio_dim)) if dim)
        self.bits = bits
        self.layers = nn.Sequential(
            nn.Dropout(input_dropout),
            nn.Linear(visual_dim + audio_dim, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, bits),
            BatchNorm(bits, affine=False) if balance else nn.Identity(),
        )

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        return torch.tanh(self.layers(torch.cat([visual.mean(dim=1), audio.mean(dim=1)], dim=1)))

    @property
    @override
    def head(self) -> nn.Module:
        """All layers: there is nothing before the pooling."""
        return self.layers
