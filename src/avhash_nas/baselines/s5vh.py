"""S5VH: self-supervised video hashing with selective state spaces."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.baselines.step_codes import StepCodeNetwork
from avhash_nas.errors import AvnasError
from avhash_nas.networks.bidirectional_mamba import BidirectionalMamba

_LAYERS = {"mini": 1, "small": 6, "base": 12}


class S5VH(StepCodeNetwork):
    """The encoder of S5VH (Wang et al., AAAI 2025): bidirectional Mamba over the time steps, a binary code for each.

    The published method is self-supervised and visual; its objective, `SLG`, owns decoder and hash centers. With
    `modality=both` the features of both modalities are concatenated. Sign(0) is +1 here, as in `ConMH`. The released
    code reinitializes all fully connected layers, so that the step sizes of its Mamba layers start at softplus(0); here
    they start as in Mamba.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network.
        size: 1, 6 (the published results) or 12 layers.
        width: D, even.
        drop_path: Probability that a video passes the last layer unchanged in training; it grows linearly from 0 in the
            first layer.
        tied: One Mamba for both directions in each layer, as in the released code.

    Raises:
        AvnasError: An option has an invalid value.
    """

    default_components: ClassVar[Mapping[str, str]] = {
        "objective": "avhash_nas.objectives.SLG",
        "data.sampling": "avhash_nas.data.Shuffled",
    }

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        *,
        modality: Modality = "visual",
        size: Literal["mini", "small", "base"] = "small",
        width: int = 256,
        drop_path: float = 0.5,
        tied: bool = False,
    ) -> None:
        if size not in _LAYERS:
            raise AvnasError(f"network.size: {size!r} is none of {', '.join(_LAYERS)}")
        count = _LAYERS[size]
        rates = [drop_path * place / max(1, count - 1) for place in range(count)]
        layers = [BidirectionalMamba(width, drop_path=rate, tied=tied) for rate in rates]
        super().__init__(visual_dim, audio_dim, bits, modality, width, layers)
