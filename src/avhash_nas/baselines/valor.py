"""VALOR: hybrid attention trained with pseudo labels of segments."""

from collections.abc import Mapping
from typing import ClassVar

from avhash_nas.baselines.hybrid_attention import HybridAttentionNetwork, Order


class VALOR(HybridAttentionNetwork):
    """VALOR (Lai, Chen, Wang: Modality-Independent Teachers Meet Weakly-Supervised AVVP, NeurIPS 2023).

    The defaults are those of VALOR++: four layers of eight heads, D = 256, for CLIP and CLAP features. VALOR itself has
    one layer and D = 512. Its objective is `SegmentLabels`.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        classes: C.
        width: D.
        layers: Number of layers.
        heads: Attention heads; they must divide D.
        hidden: Inner width of the FFN.
        dropout: Of the layers.
        order: What a layer reads; the released code is `audio_first`.
        motion_dim: The last so many dimensions of the frame features are motion features.
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
        layers: int = 4,
        heads: int = 8,
        hidden: int = 1024,
        dropout: float = 0.1,
        order: Order = "audio_first",
        motion_dim: int = 0,
        normalized: bool = False,
    ) -> None:
        super().__init__(
            visual_dim,
            audio_dim,
            classes,
            width=width,
            layers=layers,
            heads=heads,
            hidden=hidden,
            dropout=dropout,
            order=order,
            motion_dim=motion_dim,
            normalized=normalized,
        )
