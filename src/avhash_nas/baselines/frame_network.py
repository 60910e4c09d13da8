"""The networks of BTH, DKPH and MCMSH: a hidden vector for each frame, and a code from these."""

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from avhash_nas.baselines.sequence_network import Modality, SequenceNetwork
from avhash_nas.data import HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.networks import CodesAndSteps, Route
from avhash_nas.networks.video_network import evaluating
from avhash_nas.networks.vit_block import sinusoids


class FrameNetwork(SequenceNetwork):
    """Features of frames -> hidden vectors of frames -> one code. A subclass creates `encoder` and `hash`.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network.
        width: D, width of the hidden vectors.
        frames: T, the required number of time steps; None for any.

    Attributes:
        width: D.
        encoder: From features (B, T, F) to hidden vectors (B, T, D).
        hash: Layer from hidden vectors to real values, before they become bits.
    """

    encoder: nn.Module
    hash: nn.Linear

    def __init__(
        self, visual_dim: int, audio_dim: int, bits: int, modality: Modality, width: int, frames: int | None = None
    ) -> None:
        super().__init__(visual_dim, audio_dim, bits, modality)
        self.width = width
        self._frames = frames

    def hidden(self, features: Tensor, positions: Tensor | None = None) -> Tensor:
        """Computes hidden vectors, (B, T, D).

        Args:
            features: (B, T, F).
            positions: Positions of the time steps in the whole video, (B, T); None for 0 to T - 1.

        Raises:
            AvnasError: The videos have another number of time steps than the network requires.
        """
        steps = features.shape[1]
        if self._frames not in (None, steps):
            name = type(self).__name__
            raise AvnasError(f"this {name} network takes videos of {self._frames} time steps, got {steps}")
        hidden: Tensor = self.encoder(features) if positions is None else self.encoder(features, positions)
        return hidden

    @abstractmethod
    def codes_of(self, hidden: Tensor) -> Tensor:
        """Computes the codes that training compares, (B, q), values in [-1, 1].

        Args:
            hidden: (B, T, D).
        """

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        return self.codes_of(self.hidden(self.features(visual, audio)))


class FrameCodeNetwork(FrameNetwork):
    """A network whose code is the mean of its frames' codes: BTH and MCMSH."""

    @abstractmethod
    def step_codes(self, hidden: Tensor) -> Tensor:
        """Computes the codes of frames, (B, T, q), values in [-1, 1].

        Args:
            hidden: (B, T, D).
        """

    @override
    def codes_of(self, hidden: Tensor) -> Tensor:
        return self.step_codes(hidden).mean(dim=1)

    @override
    def codes_and_steps(
        self, visual: Tensor, audio: Tensor, route: Route | None = None, positions: Tensor | None = None
    ) -> CodesAndSteps:
        steps = self.step_codes(self.hidden(self.features(visual, audio), positions))
        return CodesAndSteps(steps.mean(dim=1), steps)


class FrameTransformer(nn.Module):
    """The encoder of BTH and DKPH: a linear map, sinusoids, dropout, one pre-norm transformer block, dropout.

    The block has one attention head and an FFN of 4 D with GELU in its tanh form. The released layer normalization
    divides by the unbiased standard deviation + 1e-6; this is torch's, whose divisor is smaller by the constant
    factor sqrt((D - 1) / D), which its trained scale takes up.

    Args:
        features_dim: F.
        width: D, even.
        dropout: Of inputs, attention weights, FFN, both branches of the block, and its output.

    Raises:
        AvnasError: The width is odd.
    """

    def __init__(self, features_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise AvnasError(f"network.width={width} must be even and at least 2")
        self.embedding = nn.Linear(features_dim, width)
        self.dropout = nn.Dropout(dropout)
        self.block = nn.TransformerEncoderLayer(
            width,
            nhead=1,
            dim_feedforward=4 * width,
            dropout=dropout,
            activation=_tanh_gelu,
            layer_norm_eps=1e-12,
            batch_first=True,
            norm_first=True,
        )

    def forward(self, features: Tensor, positions: Tensor | None = None) -> Tensor:
        """Computes hidden vectors, (B, T, D).

        Args:
            features: (B, T, F).
            positions: Positions of the time steps in the whole video, (B, T); None for 0 to T - 1.
        """
        if positions is None:
            positions = torch.arange(features.shape[1], device=features.device)
        embedded = self.embedding(features)
        embedded = embedded + sinusoids(positions, embedded.shape[-1]).to(embedded.dtype)
        hidden: Tensor = self.dropout(self.block(self.dropout(embedded)))
        return hidden


@torch.inference_mode()
def mean_hidden(data: HashingData, rows: NDArray[np.int64], network: FrameNetwork) -> NDArray[np.float32]:
    """Computes the mean hidden vector of each video in evaluation mode, (V, D).

    Args:
        data: An open dataset.
        rows: The videos' rows, (V,).
        network: Provides the encoder.
    """
    device = next(network.parameters()).device
    with evaluating(network):
        hidden = [
            network.hidden(network.features(piece.visual.to(device), piece.audio.to(device))).mean(dim=1).float().cpu()
            for piece in data.pieces(rows)
        ]
    return torch.cat(hidden).numpy()


def _tanh_gelu(x: Tensor) -> Tensor:
    # A function and not nn.GELU, for which TransformerEncoderLayer would take the exact form in evaluation.
    return functional.gelu(x, approximate="tanh")
