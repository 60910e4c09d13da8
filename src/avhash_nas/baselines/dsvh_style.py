"""In the style of DSVH: a residual network of convolutions over time, trained by triplets."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.sequence_network import Modality, SequenceNetwork
from avhash_nas.networks import Route


class TemporalBlock(nn.Module):
    """x + conv(ReLU(LN(conv(ReLU(LN(x)))))), convolutions over three time steps.

    Args:
        width: D, of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, D) to (B, T, D)."""
        z = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            z = convolution(torch.relu(norm(z)).transpose(1, 2)).transpose(1, 2)
        return x + z


class DSVHStyle(SequenceNetwork):
    """Residual blocks of convolutions over time, mean over time, fully connected layer, tanh. A surrogate of DSVH.

    DSVH (Chen et al.: A Supervised Video Hashing Method Based on a Deep 3D Convolutional Neural Network, Sensors
    21(9):3094, 2021) takes frames, not features: a pre-trained residual 3D network, by AV-NAS's Table 2 most likely
    a 3D ResNet-34 (63.5 M parameters), a hash layer, and a triplet loss with a step that selects triplets. Neither code
    nor the margin, the selection or the learning rate is public. What is kept here is a residual network of
    convolutions, over the time that features leave, and the loss (`BatchTriplet`). Assumed: all sizes; layer
    normalization before each convolution in place of batch normalization, so that a video does not depend on its batch.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network; the published method is `visual`.
        width: D.
        blocks: Residual blocks.
    """

    default_components: ClassVar = {"objective": "avhash_nas.objectives.BatchTriplet"}

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        *,
        modality: Modality = "visual",
        width: int = 512,
        blocks: int = 2,
    ) -> None:
        super().__init__(visual_dim, audio_dim, bits, modality)
        self.input = nn.Linear(self.features_dim, width)
        self.blocks = nn.Sequential(*(TemporalBlock(width) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.hash = nn.Linear(width, bits)

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        h = self.blocks(self.input(self.features(visual, audio)))
        return torch.tanh(self.hash(torch.relu(self.norm(h)).mean(dim=1)))
