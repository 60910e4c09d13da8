"""Symmetric InfoNCE between two sides of a batch, such as captions and videos."""

import torch
from torch import Tensor

from avhash_nas.errors import AvnasError


def cross_info_nce(scores: Tensor, same: Tensor | None = None) -> Tensor:
    """The mean of the cross entropies of rows and columns, the pairs on the diagonal being the right answers.

    With a single positive for each row it is `info_nce` across two sides (CLIP; EERCF's inter-feature loss).

    Args:
        scores: Similarity of caption i and video j, divided by a temperature, (B, B), real.
        same: Whether caption i describes video j, bool, (B, B): two captions of one video in a batch are not each
            other's negatives (they are in the code of CLIP4Clip and its successors). None if all videos differ.

    Returns:
        A scalar in float32 (float64 for float64 scores), at least 0.

    Raises:
        AvnasError: The scores are not square.
    """
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise AvnasError(f"scores: expected shape (B, B), got {tuple(scores.shape)}")
    wide = scores if scores.dtype == torch.float64 else scores.float()
    if same is not None:
        other = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
        wide = wide.masked_fill(other, torch.finfo(wide.dtype).min)
    right = torch.diagonal(wide)
    return (wide.logsumexp(dim=1) + wide.logsumexp(dim=0) - 2 * right).mean() / 2
