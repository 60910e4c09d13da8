"""The reference_score: mean pooling and a two-layer MLP."""

from typing import Any

import torch
from torch import Tensor, nn

from avhash_nas.networks import BatchNorm, HashNetwork, Route


class MeanPoolMLP(HashNetwork):
    """Averages each modality over time, concatenates, and maps by FC -> ReLU -> dropout -> FC -> tanh.

    It knows nothing of time or of the interaction of modalities, and is hard to beat on small data.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        hidden: Width of the hidden layer.
        dropout: Behind the hidden layer.
        input_dropout: Of the pooled features, element by element.
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
        self.bits = bits
        self._arguments: dict[str, Any] = {
            **{"visual_dim": visual_dim, "audio_dim": audio_dim, "bits": bits},
            **{"hidden": hidden, "dropout": dropout, "input_dropout": input_dropout},
            "balance": balance,
        }
        self.layers = nn.Sequential(
            nn.Dropout(input_dropout),
            nn.Linear(visual_dim + audio_dim, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, bits),
            BatchNorm(bits, affine=False) if balance else nn.Identity(),
        )

    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:  # noqa: ARG002
        """Relaxed codes.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: Not used: there is nothing to choose.

        Returns:
            Shape (B, q), values in (-1, 1).
        """
        return torch.tanh(self.layers(torch.cat([visual.mean(dim=1), audio.mean(dim=1)], dim=1)))

    @property
    def head(self) -> nn.Module:
        """All layers: there is nothing before the pooling."""
        return self.layers
