"""The hinge of triplet losses."""

from torch import Tensor


def triplet_margin(near: Tensor, far: Tensor, margin: float) -> Tensor:
    """max(0, margin + near - far), element by element.

    Args:
        near: Distances that should be small, from anchors to their positives.
        far: Distances that should be larger by the margin, from the same anchors to their negatives, of a shape that
            broadcasts.
        margin: In the units of the distances.

    Returns:
        Of the shape of near - far, at least 0.
    """
    return (margin + near - far).clamp(min=0)
