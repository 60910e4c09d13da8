r"""InfoNCE over the codes of whole videos: AV-NAS, Eq. 36 and 37.

Eq. 36 compares an anchor a with one positive p and n0 negatives n_i, by cosine similarity s and temperature t:

    L(a, p, n) = -log( e^{s(a,p)/t} / (e^{s(a,p)/t} + sum_i e^{s(a,n_i)/t}) )

`info_nce_triplets` is that equation on rows that a sampler has grouped, as in the authors' training (n0 = 4, each
negative of another class). `info_nce` draws the same comparison from a batch of P classes x K videos, where each video
is anchor, positive and negative at once: one forward pass per video instead of one per role.
"""

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.objectives.base import CodeObjective


def info_nce(codes: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """In-batch InfoNCE (AV-NAS, Eq. 36): all positives and negatives of a video are those that the batch holds.

    A positive of an anchor is another video that shares at least one label with it, a negative is a video that shares
    none. Each (anchor, positive) pair is one Eq. 36 with every negative of the anchor in the sum and no other positive.
    The loss is the mean over the pairs of an anchor, then over the anchors: with uneven classes a mean over all pairs
    would weigh a video by the size of its class in the batch.

    Anchors without a positive are left out; a batch in which none has one gives 0. An anchor without negatives gives
    0, as Eq. 36 does with an empty sum. A zero code has similarity 0 to all. The loss is computed in
    float32 at least, under autocast too. In data-parallel training HashingModule gives it the videos of all
    processes.

    Args:
        codes: Real-valued codes, shape (B, q).
        labels: Whether video b has class c, bool, shape (B, C).
        temperature: What similarities are divided by, above 0. The smaller, the more the hardest negatives count.

    Returns:
        The loss, a scalar in float32 (float64 for float64 codes), at least 0.

    Raises:
        AvnasError: If a shape or type is not as stated, or the temperature is not above 0.

    Example:
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
        >>> labels = torch.tensor([[True, False], [True, False], [False, True]])
        >>> round(info_nce(codes, labels, temperature=1.0).item(), 4)  # -log(e / (e + 1))
        0.3133
    """
    _check_temperature(temperature)
    _check_codes(codes)
    if labels.dtype != torch.bool or labels.ndim != 2 or len(labels) != len(codes):
        raise AvnasError(
            f"labels: expected bool of shape (B, C) with B = {len(codes)}, "
            f"got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    with torch.autocast(codes.device.type, enabled=False):
        unit = _unit_length(codes)
        similarity = unit @ unit.T / temperature  # (B, B)
        indicator = labels.float()
        related = indicator @ indicator.T > 0
        positive = related & ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        # Finite instead of -inf: an anchor without negatives then has loss and gradient 0 by plain arithmetic.
        nothing = torch.finfo(similarity.dtype).min
        against = similarity.masked_fill(related, nothing).logsumexp(dim=1, keepdim=True)  # (B, 1)
        pairs = -functional.logsigmoid(similarity - against)  # (B, B): Eq. 36 with row a, column p
        per_anchor = pairs.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
        return per_anchor.sum() / positive.any(dim=1).sum().clamp(min=1)


def info_nce_triplets(codes: Tensor, negatives: int = 4, temperature: float = 0.1) -> Tensor:
    """InfoNCE over given triplets (AV-NAS, Eq. 36), as the paper's authors train.

    Args:
        codes: Real-valued codes, shape (A * (2 + negatives), q); for each of the A anchors the rows are the anchor, its
            positive, and its negatives.
        negatives: Number n0 of negatives of each anchor, at least 1.
        temperature: What similarities are divided by, above 0.

    Returns:
        The mean over the anchors, a scalar in float32 (float64 for float64 codes), at least 0.

    Raises:
        AvnasError: If the rows are not whole triplets, or a value is out of range.

    Example:
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
        >>> round(info_nce_triplets(codes, negatives=1, temperature=1.0).item(), 4)
        0.3133
    """
    _check_temperature(temperature)
    _check_negatives(negatives)
    _check_codes(codes)
    if len(codes) == 0 or len(codes) % (2 + negatives):
        raise AvnasError(
            f"codes: expected whole groups of {2 + negatives} rows (anchor, positive, {negatives} negatives), "
            f"got {len(codes)} rows; use a triplet sampler with negatives={negatives}"
        )
    with torch.autocast(codes.device.type, enabled=False):
        unit = _unit_length(codes).view(-1, 2 + negatives, codes.shape[1])  # (A, 2 + n0, q)
        similarity = torch.einsum("aq,anq->an", unit[:, 0], unit[:, 1:]) / temperature  # (A, 1 + n0)
        return -similarity.log_softmax(dim=1)[:, 0].mean()


class InfoNCE(CodeObjective):
    """In-batch InfoNCE: every video of a shared label is a positive, every other video a negative (AV-NAS, Eq. 36-37).

    Args:
        temperature: What similarities are divided by, above 0.

    Raises:
        AvnasError: If the temperature is not above 0.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        _check_temperature(temperature)
        self.temperature = temperature

    @override
    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        return info_nce(codes, labels, self.temperature)

    @override
    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"


class TripletInfoNCE(CodeObjective):
    """InfoNCE over groups of an anchor, its positive and its negatives (AV-NAS, Eq. 36-37).

    Args:
        negatives: Negatives of each anchor, at least 1. The sampler must group rows likewise.
        temperature: What similarities are divided by, above 0.

    Raises:
        AvnasError: If a value is out of range.
    """

    def __init__(self, negatives: int = 4, temperature: float = 0.1) -> None:
        super().__init__()
        _check_negatives(negatives)
        _check_temperature(temperature)
        self.negatives = negatives
        self.temperature = temperature

    @override
    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        return info_nce_triplets(codes, self.negatives, self.temperature)

    @override
    def extra_repr(self) -> str:
        return f"negatives={self.negatives}, temperature={self.temperature}"


def _unit_length(codes: Tensor) -> Tensor:
    wide = codes if codes.dtype == torch.float64 else codes.float()
    return functional.normalize(wide, dim=1, eps=1e-8)


def _check_codes(codes: Tensor) -> None:
    if codes.ndim != 2 or not codes.is_floating_point():
        raise AvnasError(
            f"codes: expected real values of shape (B, q), got {codes.dtype} of shape {tuple(codes.shape)}"
        )


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise AvnasError(f"temperature: expected a number above 0, got {temperature}")


def _check_negatives(negatives: int) -> None:
    if negatives < 1:
        raise AvnasError(f"negatives: expected at least 1, got {negatives}")
