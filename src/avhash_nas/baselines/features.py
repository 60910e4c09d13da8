"""What a rival looks at: frames, sound, or both side by side."""

from typing import Literal, TypeAlias

from torch import Tensor

from avhash_nas.errors import AvnasError
from avhash_nas.networks import side_by_side

Modality: TypeAlias = Literal["visual", "audio", "both"]
"""`visual` is the form in which the methods were published; `both` puts the features of each time step side by side,
scaled alike."""


def width_of(modality: Modality, visual_dim: int, audio_dim: int) -> int:
    """F, the width of what `features_of` gives.

    Raises:
        AvnasError: There is no such modality.

    >>> width_of("both", 256, 128)
    384
    """
    widths = {"visual": visual_dim, "audio": audio_dim, "both": visual_dim + audio_dim}
    if modality not in widths:
        raise AvnasError(f"network.modality: {modality!r} is none of {', '.join(widths)}")
    return widths[modality]


def features_of(modality: Modality, visual: Tensor, audio: Tensor) -> Tensor:
    """The features of each time step, (B, T, F).

    Args:
        modality: What is looked at.
        visual: Frame features, shape (B, T, visual_dim).
        audio: Segment features, shape (B, T, audio_dim).
    """
    if modality == "both":
        return side_by_side(visual, audio)
    return visual if modality == "visual" else audio
