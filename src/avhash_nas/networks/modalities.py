"""The input of a network: visual features, audio features, or both as one sequence."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from avhash_nas.errors import AvnasError


def side_by_side(visual: Tensor, audio: Tensor) -> Tensor:
    """Concatenates the features of both modalities at each time step, each scaled to mean square 1 there.

    Extractors differ in scale: without scaling, the modality of larger values would dominate a loss over both.

    Args:
        visual: Frame features, shape (..., visual dim).
        audio: Segment features, shape (..., audio dim).

    Returns:
        Shape (..., visual dim + audio dim). All-zero features stay zero.
    """
    return torch.cat([functional.normalize(x, dim=-1) * x.shape[-1] ** 0.5 for x in (visual, audio)], dim=-1)


def features_of(modalities: Sequence[str], visual: Tensor, audio: Tensor) -> Tensor:
    """Selects the features of the modalities; those of both are joined by `side_by_side`.

    Args:
        modalities: `visual`, `audio` or both.
        visual: Frame features, shape (..., visual dim).
        audio: Segment features, shape (..., audio dim).

    Returns:
        Shape (..., F).

    Raises:
        AvnasError: The modalities are empty, or one is unknown.
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
    """Raises AvnasError unless the modalities are `visual`, `audio` or both."""
    if not modalities or set(modalities) - {"visual", "audio"}:
        raise AvnasError(f"modalities: expected visual, audio or both, got {', '.join(modalities) or 'none'}")
