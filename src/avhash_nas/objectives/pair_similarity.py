"""Pairs of videos whose codes should agree, or should not: BTH, DKPH, MCMSH."""

from torch import Tensor


def pair_similarity(first: Tensor, second: Tensor, similarity: Tensor) -> Tensor:
    """Mean over the pairs of (s - <b1, b2> / q)^2 (BTH: Li et al., CVPR 2021, the neighbourhood loss).

    Args:
        first: Codes of the pairs' first videos, (P, q).
        second: Of the second ones, (P, q).
        similarity: s, +1 where a pair's videos are similar and -1 where not, (P,).

    Returns:
        A scalar, from 0 to 4 for codes in [-1, 1].
    """
    agreement = (first * second).mean(dim=1)
    return (similarity - agreement).square().mean()
