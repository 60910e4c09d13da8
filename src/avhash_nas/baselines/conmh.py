"""ConMH: contrastive masked autoencoding with a vision transformer."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.baselines.step_codes import StepCodeNetwork
from avhash_nas.errors import AvnasError
from avhash_nas.networks.vit_block import ViTBlock

_SIZES = {"mini": (1, 1), "small": (12, 6), "base": (12, 12), "large": (24, 16)}  # layers and heads


class ConMH(StepCodeNetwork):
    """The encoder of ConMH (Wang et al., AAAI 2023): a vision transformer over the time steps, a binary code for each.

    The published method is self-supervised and visual; its objective, `MaskedContrastive`, owns the decoder. With
    `modality=both` the features of both modalities are concatenated, masked together and reconstructed together.
    Sign(0) is +1 here; the released code gives -1 in training, and 0 in the mean of an even number of steps.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network.
        size: 1 layer with 1 head, 12 with 6 (the published results), 12 with 12, or 24 with 16.
        width: D, even.

    Raises:
        AvnasError: An option has an invalid value.
    """

    default_components: ClassVar[Mapping[str, str]] = {
        "objective": "avhash_nas.objectives.MaskedContrastive",
        "data.sampling": "avhash_nas.data.Shuffled",
    }

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        *,
        modality: Modality = "visual",
        size: Literal["mini", "small", "base", "large"] = "small",
        width: int = 256,
    ) -> None:
        if size not in _SIZES:
            raise AvnasError(f"network.size: {size!r} is none of {', '.join(_SIZES)}")
        layers, heads = _SIZES[size]
        blocks = [ViTBlock(width, heads) for _ in range(layers)]
        super().__init__(visual_dim, audio_dim, bits, modality, width, blocks)
