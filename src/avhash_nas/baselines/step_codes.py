"""What ConMH and S5VH have in common: time steps are encoded, coded, and their codes averaged."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from avhash_nas.baselines.sequence_network import SequenceNetwork
from avhash_nas.errors import AvnasError
from avhash_nas.networks import CodesAndSteps, HashLayer, Route
from avhash_nas.networks.vit_block import sinusoids, start_linear_layers


class StepCodeNetwork(SequenceNetwork):
    """A masked autoencoder's encoder with a code for each time step; the mean of the codes is that of the video.

    FC to width D and position vectors, layers, LayerNorm, FC, then FC to q bits, LayerNorm and sign for each time step.
    Trained on masked views, it sees the visible time steps alone, at their positions in the whole video.

    Args:
        arguments: All arguments of the subclass, by name; among them `width`: D, even for the position vectors.
        layers: From (B, T, D) to (B, T, D).

    Raises:
        AvnasError: The width is odd, or there is no such modality.
    """

    hash: HashLayer

    def __init__(self, arguments: dict[str, Any], layers: Sequence[nn.Module]) -> None:
        super().__init__(arguments)
        width = arguments["width"]
        if width < 2 or width % 2:
            raise AvnasError(f"network.width must be even and at least 2, got {width}")
        self.embed = nn.Linear(self.features_dim, width)
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.out = nn.Linear(width, width)
        for layer in (self.embed, self.out):
            start_linear_layers(layer)
        self.hash = HashLayer(width, self.bits, binary_steps=True)

    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        """Relaxed codes.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: Not used: there is nothing to choose.

        Returns:
            Shape (B, q), means of -1 and +1.
        """
        return self.codes_and_steps(visual, audio, route).codes

    def codes_and_steps(
        self,
        visual: Tensor,
        audio: Tensor,
        route: Route | None = None,  # noqa: ARG002
        positions: Tensor | None = None,
    ) -> CodesAndSteps:
        """Relaxed codes of videos and the binary codes of their time steps.

        Args:
            visual: Frame features, shape (B, T, visual_dim); of a masked view, those of the visible time steps.
            audio: Segment features, shape (B, T, audio_dim), likewise.
            route: Not used.
            positions: Which time steps of the whole video are given, shape (B, T), int64; all, if None.
        """
        x: Tensor = self.embed(self.features(visual, audio))
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device)
        x = x + sinusoids(positions, x.shape[2]).to(x.dtype)
        return self.hash.codes_and_steps(self.out(self.norm(self.layers(x))))
