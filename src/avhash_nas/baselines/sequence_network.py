"""The base class of most baselines: a network over one sequence of features, of one modality or of both."""

from typing import Literal, TypeAlias

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, features_dim, features_of

Modality: TypeAlias = Literal["visual", "audio", "both"]
"""The methods were published in the form `visual`; `both` concatenates the features of each time step, scaled alike."""


class SequenceNetwork(HashNetwork):
    """A network over one sequence of features. A subclass creates its layers, `hash` last.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network.

    Raises:
        AvnasError: The modality is unknown.

    Attributes:
        features_dim: F, width of the input features.
        hash: The layer of the code.
    """

    hash: nn.Module

    def __init__(self, visual_dim: int, audio_dim: int, bits: int, modality: Modality) -> None:
        super().__init__()
        if modality not in ("visual", "audio", "both"):
            raise AvnasError(f"network.modality: {modality!r} is none of visual, audio, both")
        self.bits = bits
        self.modalities = ("visual", "audio") if modality == "both" else (modality,)
        self.features_dim = features_dim(self.modalities, visual_dim, audio_dim)

    def features(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Selects the input features, (B, T, F).

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
        """
        return features_of(self.modalities, visual, audio)

    @property
    @override
    def head(self) -> nn.Module:
        return self.hash
