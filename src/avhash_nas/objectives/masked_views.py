"""Two views of each video that show different time steps, as masked autoencoders train on them (ConMH, S5VH)."""

from typing import NamedTuple

import torch
from torch import Tensor

from avhash_nas.errors import AvnasError


class MaskedViews(NamedTuple):
    """Which time steps of B videos two views show and hide; ascending within a view of a video.

    Attributes:
        visible: int64, shape (2, B, T - m).
        masked: int64, shape (2, B, m).
    """

    visible: Tensor
    masked: Tensor


def masked_steps(frames: int, ratio: float) -> int:
    """M = floor(ratio * T), how many of T time steps a view hides.

    Raises:
        AvnasError: A view would show nothing or hide nothing.

    >>> masked_steps(25, 0.75)
    18
    """
    masked = int(ratio * frames)
    if not 1 <= masked < frames:
        raise AvnasError(
            f"objective.mask={ratio} hides {masked} of {frames} time steps; a view must hide one and show one at least"
        )
    return masked


def masked_views(videos: int, frames: int, ratio: float, device: torch.device | None = None) -> MaskedViews:
    """Draws two views of each video, by torch's generator.

    The time steps of a video are put in random order; the first view shows the first T - m of them, the second view the
    last T - m. Up to m = T / 2 all are seen in one view or the other; from there on no time step is in both.

    Args:
        videos: B.
        frames: T.
        ratio: Part of the time steps that a view hides.
        device: Where the views are drawn.

    Raises:
        AvnasError: A view would show nothing or hide nothing.
    """
    masked = masked_steps(frames, ratio)
    order = torch.rand(videos, frames, device=device).argsort(dim=1)
    hidden = torch.stack([order[:, frames - masked :], order[:, :masked]])
    shown = torch.stack([order[:, : frames - masked], order[:, masked:]])
    return MaskedViews(shown.sort(dim=2).values, hidden.sort(dim=2).values)


def at_positions(features: Tensor, positions: Tensor) -> Tensor:
    """The time steps of two views.

    Args:
        features: Shape (B, T, F).
        positions: Shape (2, B, S).

    Returns:
        Shape (2, B, S, F).
    """
    videos = torch.arange(len(features), device=features.device)[:, None]
    return features[videos, positions]
