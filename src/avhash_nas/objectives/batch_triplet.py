r"""Triplet loss over the codes of a batch, with a step that selects the triplets.

The distance of two relaxed codes is d(u, v) = (1 - cos(u, v)) / 2, which of binary codes is the share of bits that
differ. (Squared Euclidean distance would be that as well; but near zero, where relaxed codes start, all of it lies
within the margin.) A triplet is an anchor a, a positive p, which shares a label with it, and a negative n, which
shares none:

    L(a, p, n) = max(0, d(a, p) - d(a, n) + margin)

Most triplets of a batch are easy and teach nothing; the two usual selections are

- `hard`: the farthest positive and the nearest negative of each anchor (Hermans, Beyer, Leibe 2017), which may end with
  one code for all videos, as Schroff et al. warn;
- `semi_hard`: for each anchor and positive the nearest of the negatives that are farther than the positive, or the
  farthest negative where none is (Schroff, Kalenichenko, Philbin 2015).
"""

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.objectives.base import CodeObjective
from avhash_nas.objectives.pairwise import triplet_margin

Selection: TypeAlias = Literal["hard", "semi_hard"]


def batch_triplet(codes: Tensor, labels: Tensor, margin: float = 0.25, selection: Selection = "semi_hard") -> Tensor:
    """Triplet loss over the triplets that a selection takes from a batch.

    Anchors without a positive or without a negative are left out; a batch without any other gives 0. A zero code has
    distance 1/2 to all.

    Args:
        codes: Relaxed codes, shape (B, q).
        labels: Whether video b has class c, bool, shape (B, C).
        margin: By what share of the bits a negative is to be farther than a positive, above 0.
        selection: `hard` takes one triplet of each anchor, `semi_hard` one of each anchor and positive.

    Returns:
        The mean over the selected triplets; of `semi_hard`, over those of an anchor and then over the anchors. A scalar
        in float32 (float64 for float64 codes), at least 0.

    Raises:
        AvnasError: The margin is not above 0, or there is no such selection.

    Example:
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
        >>> labels = torch.tensor([[True, False], [True, False], [False, True]])
        >>> batch_triplet(codes, labels, margin=0.75).item()  # two anchors, 0 - 0.5 + 0.75 each
        0.25
    """
    _check(margin, selection)
    with torch.autocast(codes.device.type, enabled=False):
        wide = codes if codes.dtype == torch.float64 else codes.float()
        indicator = labels.float()
        related = indicator @ indicator.T > 0
        positive = related & ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        usable = positive.any(dim=1) & ~related.all(dim=1)
        distance = _distances(wide)
        taken, hinge = _SELECTIONS[selection](distance, positive, ~related, margin)
        taken = taken & usable[:, None]
        per_anchor = hinge.masked_fill(~taken, 0).sum(dim=1) / taken.sum(dim=1).clamp(min=1)
        return per_anchor.sum() / usable.sum().clamp(min=1)


class BatchTriplet(CodeObjective):
    """Triplet loss over triplets selected within a batch.

    Args:
        margin: By what share of the bits a negative is to be farther than a positive, above 0.
        selection: `hard` takes each anchor's farthest positive and nearest negative; `semi_hard` takes, for each anchor
            and positive, the nearest negative that is farther than the positive.

    Raises:
        AvnasError: The margin is not above 0, or there is no such selection.
    """

    def __init__(self, margin: float = 0.25, selection: Selection = "semi_hard") -> None:
        super().__init__()
        _check(margin, selection)
        self.margin = margin
        self.selection: Selection = selection

    @override
    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        return batch_triplet(codes, labels, self.margin, self.selection)

    @override
    def extra_repr(self) -> str:
        return f"margin={self.margin}, selection={self.selection!r}"


def _distances(codes: Tensor) -> Tensor:
    """d(u, v) of all pairs, (B, B)."""
    unit = functional.normalize(codes, dim=1, eps=1e-8)
    return (1 - unit @ unit.T) / 2


def _hard(distance: Tensor, positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    far = distance.masked_fill(~positive, -torch.inf).amax(dim=1, keepdim=True)
    near = distance.masked_fill(~negative, torch.inf).amin(dim=1, keepdim=True)
    return torch.ones_like(far, dtype=torch.bool), triplet_margin(far, near, margin)


def _semi_hard(distance: Tensor, positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    ordered = distance.masked_fill(~negative, torch.inf).sort(dim=1).values
    place = torch.searchsorted(ordered.detach(), distance.detach(), right=True)  # of the first that is farther
    count = negative.sum(dim=1, keepdim=True)
    chosen = ordered.gather(1, torch.minimum(place, (count - 1).clamp(min=0)))
    return positive, triplet_margin(distance, chosen, margin)


_SELECTIONS = {"hard": _hard, "semi_hard": _semi_hard}


def _check(margin: float, selection: str) -> None:
    if not margin > 0:
        raise AvnasError(f"margin: expected a number above 0, got {margin}")
    if selection not in _SELECTIONS:
        raise AvnasError(f"selection: {selection!r} is none of {', '.join(_SELECTIONS)}")
