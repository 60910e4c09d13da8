"""The quadruplet loss of MCMSH."""

from torch import Tensor

from avhash_nas.objectives.triplet_margin import triplet_margin


def quadruplet(anchor: Tensor, similar: Tensor, dissimilar: Tensor, other: Tensor) -> Tensor:
    """Mean over the quadruplets of max(0, q/4 + d(a, s) - d(a, n)) + max(0, q/64 + d(a, s) - d(n, o)).

    d is the squared Euclidean distance. The second term keeps two negatives farther apart than a similar pair, by a
    smaller margin (MCMSH: Hao et al., ACM MM 2022; the margins are those of the released code).

    Args:
        anchor: Codes a, (Q, q).
        similar: Codes s of videos that are similar to the anchors, (Q, q).
        dissimilar: Codes n of videos that are not, (Q, q).
        other: Codes o of other such videos, (Q, q).

    Returns:
        A scalar, at least 0.
    """
    bits = anchor.shape[1]
    near = _squared_distance(anchor, similar)
    against_anchor = triplet_margin(near, _squared_distance(anchor, dissimilar), bits / 4)
    against_other = triplet_margin(near, _squared_distance(dissimilar, other), bits / 64)
    return (against_anchor + against_other).mean()


def _squared_distance(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square().sum(dim=1)
