"""Where a time step lies in its video, as sines and cosines (Vaswani et al. 2017, section 3.5)."""

import torch
from torch import Tensor


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Fixed position vectors: sin(p / 10000^(2i/D)) at entry 2i, the cosine of the same at 2i + 1.

    Args:
        positions: Numbers of time steps, of any shape.
        width: D, even.

    Returns:
        Shape (*positions.shape, D), float32.
    """
    even = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32)
    angle = positions[..., None].float() / 10_000 ** (even / width)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)
