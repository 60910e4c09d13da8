"""A baseline that sees every frame and nothing of their order."""

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.networks import BatchNorm, HashNetwork, Route


class FramewiseMLP(HashNetwork):
    """Maps each time step alone, pools by mean and maximum over time, and maps the pooled values to the code.

    Both modalities of a time step, side by side, pass FC -> ReLU -> dropout; mean and maximum over time, side by side,
    pass FC -> ReLU -> dropout -> FC -> tanh. As the code is the same for any order of the time steps, the distance to a
    temporal network of the same training is what order is worth.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        hidden: Width of both hidden layers.
        dropout: Dropout after each hidden layer.
        balance: Batch-normalize every bit's value before tanh, for balanced bits.
    """

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        *,
        hidden: int = 128,
        dropout: float = 0.1,
        balance: bool = False,
    ) -> None:
        super().__init__()
        self.bits = bits
        self.steps = nn.Sequential(nn.Linear(visual_dim + audio_dim, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.layers = nn.Sequential(
            nn.Linear(2 * hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, bits),
            BatchNorm(bits, affine=False) if balance else nn.Identity(),
        )

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        steps = self.steps(torch.cat([visual, audio], dim=2))
        return torch.tanh(self.layers(torch.cat([steps.mean(dim=1), steps.amax(dim=1)], dim=1)))

    @property
    @override
    def head(self) -> nn.Module:
        """What follows the pooling."""
        return self.layers
