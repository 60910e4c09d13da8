"""Both modalities as one sequence of features."""

import torch
from torch import Tensor
from torch.nn import functional


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
