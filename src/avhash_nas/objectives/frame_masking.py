"""Frames that a network must guess: the masking of BERT (Devlin et al. 2019, section 3.1), on features."""

import torch
from torch import Tensor

_ZEROED, _SWAPPED = 0.8, 0.1


def mask_frames(frames: Tensor, chance: Tensor, donors: Tensor, rate: float = 0.15) -> Tensor:
    """Spoils a part of the frames: 80 % of these become zero, 10 % become another frame, 10 % stay as they are.

    Args:
        frames: Features, (B, T, F); they are left as they are.
        chance: A draw for each frame, uniform in [0, 1), (B, T). Below `rate` a frame is one of the part; by where
            between 0 and `rate` it lies, one of the three things happens.
        donors: For each frame the number, from 0 to B * T - 1, of the frame that may take its place, (B, T), int64.
        rate: Size of the part, in [0, 1].

    Returns:
        (B, T, F).
    """
    swapped = frames.flatten(0, 1)[donors]
    zero, swap = chance < _ZEROED * rate, (chance >= _ZEROED * rate) & (chance < (_ZEROED + _SWAPPED) * rate)
    return torch.where(zero[..., None], 0.0, torch.where(swap[..., None], swapped, frames))


def masked(frames: Tensor, rate: float = 0.15) -> Tensor:
    """`mask_frames` with draws from torch's generator; frames are swapped for any of the batch, not of the dataset.

    Args:
        frames: Features, (B, T, F).
        rate: Part of the frames that is spoilt or may be kept, in [0, 1].
    """
    chance = torch.rand(frames.shape[:2], device=frames.device)
    donors = torch.randint(frames.shape[0] * frames.shape[1], frames.shape[:2], device=frames.device)
    return mask_frames(frames, chance, donors, rate)
