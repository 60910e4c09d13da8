"""HAN: the hybrid attention network with which audio-visual video parsing began."""

from collections.abc import Mapping
from typing import ClassVar

from avhash_nas.baselines.hybrid_attention import HybridAttentionNetwork


class HAN(HybridAttentionNetwork):
    """HAN (Tian, Li, Xu: Unified Multisensory Perception, ECCV 2020), with its own objective, `WeakLabels`.

    One layer of one head, D = 512, as released. The released ResNet features of 80 frames are averaged over 8 frames
    each before the linear map; features here have one vector for each time step.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        classes: C.
        width: D.
        hidden: Inner width of the FFN.
        dropout: Of the layer.
        motion_dim: The last so many dimensions of the frame features are motion features.
    """

    default_components: ClassVar[Mapping[str, str]] = {"objective": "avhash_nas.objectives.WeakLabels"}

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        classes: int,
        *,
        width: int = 512,
        hidden: int = 512,
        dropout: float = 0.1,
        motion_dim: int = 0,
    ) -> None:
        super().__init__(
            visual_dim,
            audio_dim,
            classes,
            width=width,
            layers=1,
            heads=1,
            hidden=hidden,
            dropout=dropout,
            order="inputs",
            motion_dim=motion_dim,
            normalized=False,
        )
