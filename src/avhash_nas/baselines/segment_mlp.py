"""The simplest parser: each segment of each modality by itself."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.networks import MMILHead, ParsingNetwork, Route


class SegmentMLP(ParsingNetwork):
    """FC -> ReLU -> dropout -> FC for each segment and modality, then `MMILHead`.

    It has neither time nor interaction of modalities, and cannot confuse them.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        classes: C.
        width: D, of both layers.
        dropout: After the first layer.
        normalized: Weights of the head that sum to 1.
    """

    default_components: ClassVar[Mapping[str, str]] = {"objective": "avhash_nas.objectives.SegmentLabels"}

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        classes: int,
        *,
        width: int = 256,
        dropout: float = 0.1,
        normalized: bool = False,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width))
            for dim in (audio_dim, visual_dim)
        )
        self.parse = MMILHead(width, classes, normalized=normalized)

    @override
    def segment_features(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        heard, seen = self.encoders
        return torch.stack([heard(audio), seen(visual)], dim=1)
