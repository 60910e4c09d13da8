"""What a network looks at: frames, sound, or both as one sequence of features."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from avhash_nas.errors import AvnasError


def side_by_side(visual: Tensor, audio: Tensor) -> Tensor:
    """Features of both modalities at each time step, each brought to mean square 1 there.

    Extractors differ in scale: unscaled, a loss over both would be one over the louder of them.

    Args:
        visual: Frame features, shape (..., visual dim).
        audio: Segment features, shape (..., audio dim).

    Returns:
        Shape (..., visual dim + audio dim). Features that are all zero stay so.
    """
    return torch.cat([functional.normalize(each, dim=-1) * each.shape[-1] ** 0.5 for each in (visual, audio)], dim=-1)


def features_of(modalities: Sequence[str], visual: Tensor, audio: Tensor) -> Tensor:
    """The features of what is looked at, those of both modalities `side_by_side`.

    Args:
        modalities: `visual`, `audio` or both.
        visual: Frame features, shape (..., visual dim).
        audio: Segment features, shape (..., audio dim).

    Returns:
        Shape (..., F).

    Raises:
        AvnasError: No modality is looked at, or an unknown one.
    """
    check_modalities(modalities)
    if len(modalities) == 2:
        return side_by_side(visual, audio)
    return visual if "visual" in modalities else audio


def features_dim(modalities: Sequence[str], visual_dim: int, audio_dim: int) -> int:
    """F, the width of what `features_of` gives.

    >>> features_dim(("visual", "audio"), 256, 128)
    384
    """
    check_modalities(modalities)
    return sum({"visual": visual_dim, "audio": audio_dim}[modality] for modality in modalities)


def check_modalities(modalities: Sequence[str]) -> None:
    """Refuses any but `visual`, `audio` and both.

    Raises:
        AvnasError: There is another one, or none.
    """
    if not modalities or set(modalities) - {"visual", "audio"}:
        raise AvnasError(f"modalities: expected visual, audio or both, got {', '.join(modalities) or 'none'}")
