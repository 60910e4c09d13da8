"""The quadruplet loss of MCMSH."""

from torch import Tensor


def anchor_alignment(hidden: Tensor, anchors: Tensor) -> Tensor:
    """Mean over videos and dimensions of the squared difference between a video and its anchor.

    The released codes of BTH, DKPH and MCMSH add the two videos of a pair up: twice this.

    Args:
        hidden: One vector for each video, the mean over its time steps, (B, D).
        anchors: The anchor nearest to each video, as found beforehand, (B, D).

    Returns:
        A scalar.
    """
    return (hidden - anchors).square().mean()


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


def pair_similarity(first: Tensor, second: Tensor, similarity: Tensor) -> Tensor:
    """Mean over the pairs of (s - <b1, b2> / q)^2 (BTH: Li et al., CVPR 2021, the neighborhood loss).

    Args:
        first: Codes of the pairs' first videos, (P, q).
        second: Of the second ones, (P, q).
        similarity: s, +1 where a pair's videos are similar and -1 where not, (P,).

    Returns:
        A scalar, from 0 to 4 for codes in [-1, 1].
    """
    agreement = (first * second).mean(dim=1)
    return (similarity - agreement).square().mean()


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
