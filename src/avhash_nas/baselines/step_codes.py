"""The base class of ConMH and S5VH: time steps are encoded, coded, and their codes averaged."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.sequence_network import Modality, SequenceNetwork
from avhash_nas.errors import AvnasError
from avhash_nas.networks import CodesAndSteps, HashLayer, Route
from avhash_nas.networks.vit_block import sinusoids, start_linear_layers


class StepCodeNetwork(SequenceNetwork):
    """The encoder of a masked autoencoder with a code for each time step; their mean is the code of the video.

    FC to width D plus position vectors, layers, LayerNorm, FC, then FC to q bits, LayerNorm and sign for each time
    step. In training on masked views, it gets the visible time steps only, with their positions in the whole video.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network.
        width: D, even for the position vectors.
        layers: From (B, T, D) to (B, T, D).

    Raises:
        AvnasError: The width is odd, or the modality is unknown.
    """

    hash: HashLayer

    def __init__(
        self, visual_dim: int, audio_dim: int, bits: int, modality: Modality, width: int, layers: Sequence[nn.Module]
    ) -> None:
        super().__init__(visual_dim, audio_dim, bits, modality)
        if width < 2 or width % 2:
            raise AvnasError(f"network.width must be even and at least 2, got {width}")
        self.embed = nn.Linear(self.features_dim, width)
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.out = nn.Linear(width, width)
        for layer in (self.embed, self.out):
            start_linear_layers(layer)
        self.hash = HashLayer(width, self.bits, binary_steps=True)

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        return self.codes_and_steps(visual, audio, route).codes

    @override
    def codes_and_steps(
        self, visual: Tensor, audio: Tensor, route: Route | None = None, positions: Tensor | None = None
    ) -> CodesAndSteps:
        x: Tensor = self.embed(self.features(visual, audio))
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device)
        x = x + sinusoids(positions, x.shape[2]).to(x.dtype)
        return self.hash.codes_and_steps(self.out(self.norm(self.layers(x))))
