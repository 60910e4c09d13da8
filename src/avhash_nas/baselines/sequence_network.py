"""What most rivals have in common: they look at one sequence of features, of one modality or of both side by side."""

from typing import Any, Literal, TypeAlias

from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, features_dim, features_of

Modality: TypeAlias = Literal["visual", "audio", "both"]
"""`visual` is the form in which the methods were published; `both` puts the features of each time step side by side,
scaled alike."""


class SequenceNetwork(HashNetwork):
    """A network over one sequence of features. A subclass makes its layers, `hash` last.

    Args:
        arguments: All arguments of the subclass, by name: `visual_dim`, `audio_dim`, `bits`, `modality` and its own.

    Raises:
        AvnasError: There is no such modality.

    Attributes:
        features_dim: F, width of the features that are looked at.
        hash: The layer of the code.
    """

    hash: nn.Module

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        modality: str = arguments["modality"]
        if modality not in ("visual", "audio", "both"):
            raise AvnasError(f"network.modality: {modality!r} is none of visual, audio, both")
        self._arguments = arguments
        self.bits = arguments["bits"]
        self.modalities = ("visual", "audio") if modality == "both" else (modality,)
        self.features_dim = features_dim(self.modalities, arguments["visual_dim"], arguments["audio_dim"])

    def features(self, visual: Tensor, audio: Tensor) -> Tensor:
        """The features that are looked at, (B, T, F).

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
        """
        return features_of(self.modalities, visual, audio)

    @property
    def head(self) -> nn.Module:
        """The layer of the code."""
        return self.hash
