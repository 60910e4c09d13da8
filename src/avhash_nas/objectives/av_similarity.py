"""LINK's losses: similarity of what is heard and seen in a segment, with a weight that depends on it."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Parsing
from avhash_nas.objectives.segment_labels import SegmentLabels, Source, segment_loss
from avhash_nas.objectives.weak_labels import bag_loss

Weighting = Literal["trained", "fixed", "one"]
Pairs = Literal["segments", "all"]


def similarity_weight(similarity: Tensor, mu: Tensor) -> Tensor:
    r"""The piecewise weight of LINK, as printed.

    With m = e^|1 - mu|,

        lambda(s) = 1                for s <= -0.2
                    m                for -0.2 < s < 0
                    m + (1 - m) s    for s >= 0

    It jumps at -0.2, is continuous at 0, 1 at s = 1, and nowhere below 1; so the weighted loss is least at mu = 1,
    where the weight is 1 throughout: a trained mu unlearns the weighting.

    Args:
        similarity: s, any shape; no gradient reaches it.
        mu: A scalar.

    Returns:
        The shape of `similarity`.
    """
    s = similarity.detach()
    most = (1 - mu).abs().exp()
    return torch.where(s <= -0.2, torch.ones_like(s), torch.where(s < 0, most, most + (1 - most) * s))


def av_similarity(features: Tensor, pseudo: Tensor, mu: Tensor, pairs: Pairs = "segments") -> Tensor:
    """Squared difference of two similarities of what is heard and what is seen: of features, and of pseudo labels.

    s is the cosine of the features, r the intersection over union of the label sets; the loss is the mean of
    lambda(s) (s - r)^2. Pairs without any label, for which r is not defined, are left out.

    Args:
        features: Shape (B, 2, T, D).
        pseudo: Pseudo labels, bool, shape (B, 2, T, C).
        mu: Of `similarity_weight`; 1 gives the weight 1.
        pairs: `segments` compares the two modalities at the same time, as LINK's name of the loss says; `all` at all
            pairs of times, as LEAP (Zhou et al., ECCV 2024) does.

    Returns:
        A scalar; 0 without any pair.
    """
    audio, visual = functional.normalize(features, dim=-1, eps=1e-8).unbind(dim=1)
    heard, seen = pseudo.to(features).unbind(dim=1)
    if pairs == "segments":
        s, shared = (audio * visual).sum(dim=-1), (heard * seen).sum(dim=-1)
        union = heard.sum(dim=-1) + seen.sum(dim=-1) - shared
    else:
        s, shared = audio @ visual.transpose(1, 2), heard @ seen.transpose(1, 2)
        union = heard.sum(dim=-1)[:, :, None] + seen.sum(dim=-1)[:, None, :] - shared
    known = union > 0
    each = similarity_weight(s, mu) * (s - shared / union.clamp(min=1)).square()
    return each.masked_fill(~known, 0).sum() / known.sum().clamp(min=1)


class AVSimilarity(SegmentLabels):
    """LINK's objective (Wang et al., arXiv 2412.20872), our reading: VALOR's loss, its video form, and `av_similarity`.

    L = BCE(P, y) + sum_m BCE(P_m, max_t pseudo^m) + sum_m BCE(p^m, pseudo^m) + L_avss. No code of the paper is public.
    Open there, and chosen here: what the terms L_video^m are, the start of mu, and that no gradient runs through the
    weight into the features, where it would pull them together whatever the labels say.

    Args:
        pseudo: Where pseudo labels come from, as of `SegmentLabels`.
        weighting: `trained` is the printed lambda with a trained mu, whose course is logged; `fixed` keeps mu at its
            start; `one` sets lambda to 1.
        mu: Start of mu.
        pairs: Of `av_similarity`.
        similarity: Weight of the whole term; 0 leaves it out (the paper's ablation of S-LOSS).

    Raises:
        AvnasError: An option has an invalid value.
    """

    def __init__(
        self,
        pseudo: Source = "dataset",
        weighting: Weighting = "trained",
        mu: float = 0.5,
        pairs: Pairs = "segments",
        similarity: float = 1.0,
    ) -> None:
        super().__init__(pseudo)
        for name, value, allowed in (("weighting", weighting, Weighting), ("pairs", pairs, Pairs)):
            if value not in get_args(allowed):
                raise AvnasError(f"objective.{name}: {value!r} is none of {', '.join(get_args(allowed))}")
        if not similarity >= 0:
            raise AvnasError(f"objective.similarity={similarity} must not be negative")
        start = torch.tensor(1.0 if weighting == "one" else float(mu))
        self.mu = nn.Parameter(start, requires_grad=weighting == "trained" and similarity > 0)
        self.pairs: Pairs = pairs
        self.similarity = similarity

    @override
    def forward(self, parsing: Parsing, weak: Tensor, pseudo: Tensor | None) -> Tensor:
        assert pseudo is not None
        loss = bag_loss(parsing.video, weak) + segment_loss(parsing.logits, pseudo)
        for number in (0, 1):
            loss = loss + bag_loss(parsing.modalities[:, number], pseudo[:, number].any(dim=1))
        if self.similarity:
            features = parsing.features if parsing.features.dtype == torch.float64 else parsing.features.float()
            loss = loss + self.similarity * av_similarity(features, pseudo, self.mu, self.pairs)
        return loss

    @override
    def summary(self) -> dict[str, float]:
        return {**super().summary(), "mu": float(self.mu.detach())}
