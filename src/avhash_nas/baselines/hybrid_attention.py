"""The networks of HAN, VALOR and LINK's base: hybrid attention layers, then a head that parses."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import MMILHead, ParsingNetwork, Route
from avhash_nas.operators import HybridAttention

Order = Literal["inputs", "audio_first", "symmetric"]


class HybridAttentionNetwork(ParsingNetwork):
    """Linear maps to D, layers of `HybridAttention` shared by both modalities, `MMILHead`.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        classes: C.
        width: D.
        layers: Number of layers.
        heads: Attention heads; they must divide D.
        hidden: Inner width of the FFN.
        dropout: Of the layers.
        order: What a layer reads. `symmetric` reads what the layer before gave for both modalities. `audio_first`, as
            VALOR's code, updates audio and shows the visual modality the updated audio. `inputs`, as HAN's code, shows
            every layer the inputs, so that more than one layer computes no more than one.
        motion_dim: The last so many dimensions of the frame features are motion features: mapped to D by a layer of
            their own, concatenated, and mapped from 2 D to D, as in the released code. 0 for none.
        normalized: Weights of the head that sum to 1.

    Raises:
        AvnasError: An option has an invalid value.
    """

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        classes: int,
        *,
        width: int,
        layers: int,
        heads: int,
        hidden: int,
        dropout: float,
        order: Order,
        motion_dim: int,
        normalized: bool,
    ) -> None:
        super().__init__()
        if order not in get_args(Order):
            raise AvnasError(f"network.order: {order!r} is none of {', '.join(get_args(Order))}")
        if not 0 <= motion_dim < visual_dim:
            raise AvnasError(f"network.motion_dim={motion_dim} must be from 0 to the visual features' {visual_dim} - 1")
        if layers < 1:
            raise AvnasError(f"network.layers={layers} must be at least 1")
        self.order = order
        self.motion_dim = motion_dim
        self.audio_input = nn.Linear(audio_dim, width)
        self.visual_input = nn.Linear(visual_dim - motion_dim, width)
        if motion_dim:
            self.motion_input = nn.Linear(motion_dim, width)
            self.visual_fusion = nn.Linear(2 * width, width)
        self.layers = nn.ModuleList(
            HybridAttention(width=width, heads=heads, hidden=hidden, dropout=dropout) for _ in range(layers)
        )
        self.parse = MMILHead(width, classes, normalized=normalized)

    @override
    def segment_features(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        heard, seen = self.attend(*self.mapped(visual, audio))
        return torch.stack([heard, seen], dim=1)

    def mapped(self, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Features of audio and visual, each (B, T, D), before the layers."""
        if not self.motion_dim:
            return self.audio_input(audio), self.visual_input(visual)
        still, motion = visual[..., : -self.motion_dim], visual[..., -self.motion_dim :]
        both = torch.cat([self.visual_input(still), self.motion_input(motion)], dim=-1)
        return self.audio_input(audio), self.visual_fusion(both)

    def attend(self, audio: Tensor, visual: Tensor) -> tuple[Tensor, Tensor]:
        """Features of audio and visual, each (B, T, D), after the layers."""
        heard, seen = audio, visual
        for layer in self.layers:
            if self.order == "inputs":
                heard, seen = layer(audio, visual), layer(visual, audio)
            elif self.order == "symmetric":
                heard, seen = layer(heard, seen), layer(seen, heard)
            else:
                heard = layer(heard, seen)
                seen = layer(seen, heard)
        return heard, seen
