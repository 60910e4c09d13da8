"""MCMSH: an MLP mixer with gates of three ranges.

Hao et al., "Unsupervised Video Hashing with Multi-granularity Contextualization and Multi-structure Preservation", ACM
MM 2022.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.frame_network import FrameCodeNetwork
from avhash_nas.baselines.mcmsh_gates import GatedMixer
from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.errors import AvnasError


class MCMSH(FrameCodeNetwork):
    """MC-MLP and, for each frame, tanh(alpha * (linear map)), whose mean is the code before the sign.

    alpha = sqrt(epoch + 1), so that tanh approaches the sign; a saved network holds the alpha of its epoch.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        frames: T, the number of time steps of every video, at least 4.
        bits: Code length q.
        modality: Input of the network.
        width: D, of the hidden vectors, a multiple of 16.
        dropout: Of the mixers' MLPs.

    Raises:
        AvnasError: An option is out of its range.
    """

    default_components: ClassVar[Mapping[str, str]] = {
        "objective": "avhash_nas.baselines.MCMSHLoss",
        "data.sampling": "avhash_nas.data.Shuffled",
    }
    alpha: Tensor

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        frames: int,
        bits: int,
        *,
        modality: Modality = "visual",
        width: int = 256,
        dropout: float = 0.5,
    ) -> None:
        if frames < 4 or width < 16 or width % 16:
            raise AvnasError(f"MCMSH: frames={frames} must be at least 4, and width={width} a multiple of 16")
        super().__init__(visual_dim, audio_dim, bits, modality, width, frames)
        self.encoder = GatedMixer(self.features_dim, frames, width, dropout)
        self.hash = nn.Linear(width, bits)
        self.register_buffer("alpha", torch.ones(()))

    @override
    def start_epoch(self, epoch: int) -> None:
        self.alpha.fill_((epoch + 1) ** 0.5)

    @override
    def hidden(self, features: Tensor, positions: Tensor | None = None) -> Tensor:
        return super().hidden(features)

    @override
    def step_codes(self, hidden: Tensor) -> Tensor:
        return torch.tanh(self.alpha * self.hash(hidden))
