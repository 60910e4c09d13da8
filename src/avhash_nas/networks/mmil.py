"""Attentive multimodal multiple-instance pooling: from segments to what a video holds."""

import torch
from torch import Tensor, nn


class MMILHead(nn.Module):
    r"""Classes of segments, and of the video by attention over time and modality (Tian et al., ECCV 2020).

    With p = sigmoid(FC f) for each segment and modality, A_t a softmax over time and A_m one over the two modalities,
    both of fully connected layers for each class:

        P_m = sum_t A_t p,    P = sum_t sum_m A_m A_t p.

    P is no mean: the products A_m A_t sum to anything in (0, 2), so P can exceed 1. `normalized` divides them by their
    sum; the published networks do not.

    Args:
        width: D, of the features.
        classes: C.
        normalized: Make P a mean.
    """

    def __init__(self, width: int, classes: int, *, normalized: bool = False) -> None:
        super().__init__()
        self.probability = nn.Linear(width, classes)
        self.time_attention = nn.Linear(width, classes)
        self.modality_attention = nn.Linear(width, classes)
        self.normalized = normalized

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (B, 2, T, D) to what `pool` takes: three values for each class, (B, 2, T, 3, C)."""
        layers = (self.probability, self.time_attention, self.modality_attention)
        return torch.stack([layer(features) for layer in layers], dim=-2)

    def pool(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pools over time and modality, in float32 at least.

        Args:
            values: Of `forward`, shape (B, 2, T, 3, C).

        Returns:
            Logits of segments (B, 2, T, C), P_m (B, 2, C) and P (B, C).
        """
        with torch.autocast(values.device.type, enabled=False):
            logits, time, modality = (values if values.dtype == torch.float64 else values.float()).unbind(dim=-2)
            probability, over_time = logits.sigmoid(), time.softmax(dim=2)
            weights = over_time * modality.softmax(dim=1)
            if self.normalized:
                weights = weights / weights.sum(dim=(1, 2), keepdim=True)
            return logits, (over_time * probability).sum(dim=2), (weights * probability).sum(dim=(1, 2))
