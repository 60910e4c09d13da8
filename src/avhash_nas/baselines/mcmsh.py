"""MCMSH: an MLP mixer with gates of three reaches.

Hao et al., "Unsupervised Video Hashing with Multi-granularity Contextualization and Multi-structure Preservation", ACM
MM 2022.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from avhash_nas.baselines.frame_network import FrameNetwork
from avhash_nas.baselines.mcmsh_gates import GatedMixer
from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.errors import AvnasError
from avhash_nas.networks import CodesAndSteps, Route


class MCMSH(FrameNetwork):
    """MC-MLP and, for each frame, tanh(alpha * (linear map)), whose mean is the code before the sign.

    alpha grows as sqrt(epoch + 1), so that tanh nears the sign; the saved network has that of the epoch it is from.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        frames: T, time steps of every video, at least 4.
        bits: Code length q.
        modality: What is looked at.
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
        dims = {"visual_dim": visual_dim, "audio_dim": audio_dim, "frames": frames, "bits": bits}
        super().__init__({**dims, "modality": modality, "width": width, "dropout": dropout})
        self.encoder = GatedMixer(self.features_dim, frames, width, dropout)
        self.hash = nn.Linear(width, bits)
        self.register_buffer("alpha", torch.ones(()))

    def start_epoch(self, epoch: int) -> None:
        """Sets alpha.

        Args:
            epoch: Counted from 0.
        """
        self.alpha.fill_((epoch + 1) ** 0.5)

    def step_codes(self, hidden: Tensor) -> Tensor:
        """Relaxed codes of frames, (B, T, q).

        Args:
            hidden: (B, T, D).
        """
        return torch.tanh(self.alpha * self.hash(hidden))

    def codes_of(self, hidden: Tensor) -> Tensor:
        """Means of the frames' relaxed codes, (B, q).

        Args:
            hidden: (B, T, D).
        """
        return self.step_codes(hidden).mean(dim=1)

    def codes_and_steps(
        self,
        visual: Tensor,
        audio: Tensor,
        route: Route | None = None,  # noqa: ARG002
        positions: Tensor | None = None,  # noqa: ARG002
    ) -> CodesAndSteps:
        """Codes of videos and of their time steps, each seen within its video.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: Not used.
            positions: Not used.

        Raises:
            AvnasError: There are more or fewer frames than the network is made for.
        """
        steps = self.step_codes(self.hidden(self.features(visual, audio)))
        return CodesAndSteps(steps.mean(dim=1), steps)
