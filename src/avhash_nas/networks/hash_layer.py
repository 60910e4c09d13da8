"""From a feature sequence to a relaxed code, Eq. 34 of the paper."""

import torch
from torch import Tensor, nn

from avhash_nas.networks.batch_norm import BatchNorm


class HashLayer(nn.Module):
    """Mean over time, fully connected layer, tanh: f = tanh(FC(mean_t h)), Eq. 34.

    The paper does not say how the sequence is pooled; the mean over time is the authors' choice in code.

    Args:
        width: D.
        bits: q.
        hidden: Width of a hidden layer between pooling and FC, with ReLU and dropout behind it; 0 for the paper's
            plain FC.
        dropout: Of the hidden layer.
        norm: Batch-normalise the pooled features, without scale and shift. Not in the paper.
        balance: Normalise every bit's value over the batch before tanh (batch normalisation without scale and shift),
            so that each bit is +1 for about half of the videos. Not in the paper.
    """

    def __init__(
        self,
        width: int,
        bits: int,
        hidden: int = 0,
        dropout: float = 0.0,
        *,
        norm: bool = False,
        balance: bool = False,
    ) -> None:
        super().__init__()
        self.norm = BatchNorm(width, affine=False) if norm else nn.Identity()
        self.body: nn.Module = nn.Identity()
        if hidden:
            self.body = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.fc = nn.Linear(hidden or width, bits)
        self.balance = BatchNorm(bits, affine=False) if balance else nn.Identity()

    def forward(self, h: Tensor) -> Tensor:
        """Relaxed code of each video.

        Args:
            h: Shape (B, T, D).

        Returns:
            Shape (B, q), values in (-1, 1).
        """
        return torch.tanh(self.balance(self.fc(self.body(self.norm(h.mean(dim=1))))))
