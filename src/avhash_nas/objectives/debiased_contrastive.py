r"""The debiased contrastive loss (Chuang et al., NeurIPS 2020), by which ConMH and S5VH compare two views.

With cosine similarity s, temperature t and the class prior p, a view's loss against its partner and the N = 2B - 2
views x_i of other videos is

    -log( e^{s+/t} / (e^{s+/t} + G) ),    G = max( (sum_i e^{s_i/t} - p N e^{s+/t}) / (1 - p), N e^{-1/t} ):

a share p of the negatives is taken to be of the view's own class, and their part is taken out of the sum.
"""

import torch
from torch import Tensor
from torch.nn import functional

from avhash_nas.errors import AvnasError


def debiased_contrastive(first: Tensor, second: Tensor, temperature: float = 0.5, prior: float = 0.1) -> Tensor:
    """Mean of the debiased contrastive loss over both views of all videos.

    A zero code has similarity 0 to all. Computed in float32 at least. A single video has nothing to be compared with
    and gives 0.

    Args:
        first: Codes of the first views, real values, shape (B, q).
        second: Codes of the second views of the same videos, shape (B, q).
        temperature: What similarities are divided by, above 0.
        prior: Share of other videos that are taken to be of the video's own class, in [0, 1).

    Returns:
        A scalar, at least 0.

    Raises:
        AvnasError: If a shape is not as stated or a value is out of range.

    Example:
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        >>> round(debiased_contrastive(codes, codes, temperature=1.0, prior=0.0).item(), 4)  # -log(e / (e + 2))
        0.5514
    """
    check_contrast(temperature, prior)
    if first.ndim != 2 or first.shape != second.shape:
        raise AvnasError(f"codes of two views: expected shapes (B, q), got {(*first.shape,)} and {(*second.shape,)}")
    with torch.autocast(first.device.type, enabled=False):
        views = torch.cat([first, second])
        wide = views.to(torch.promote_types(views.dtype, torch.float32))
        unit = functional.normalize(wide, dim=1, eps=1e-8)
        # All exponentials are divided by e^{1/t}, which cancels out and keeps them at most 1.
        logits = (unit @ unit.T - 1) / temperature  # (2B, 2B)
        videos, others = len(first), 2 * len(first) - 2
        partner = logits.diagonal(videos).repeat(2)
        same = torch.eye(videos, dtype=torch.bool, device=logits.device).repeat(2, 2)
        negative = logits.exp().masked_fill(same, 0).sum(dim=1)
        own = partner.exp()
        least = others * torch.exp(logits.new_tensor(-2 / temperature))
        against = torch.maximum((negative - prior * others * own) / (1 - prior), least)
        tiny = torch.finfo(own.dtype).tiny
        return ((own + against).clamp(min=tiny).log() - partner.clamp(min=torch.log(logits.new_tensor(tiny)))).mean()


def check_contrast(temperature: float, prior: float) -> None:
    """Refuses settings of the loss that are out of range.

    Raises:
        AvnasError: They are.
    """
    if not temperature > 0:
        raise AvnasError(f"temperature: expected a number above 0, got {temperature}")
    if not 0 <= prior < 1:
        raise AvnasError(f"prior: expected a number in [0, 1), got {prior}")
