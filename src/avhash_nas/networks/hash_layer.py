"""From a feature sequence to a relaxed code, Eq. 34 of the paper."""

from typing import cast

import torch
from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks.batch_norm import BatchNorm
from avhash_nas.networks.binarizers import hard_sign
from avhash_nas.networks.hash_network import CodesAndSteps


class HashLayer(nn.Module):
    """Mean over time, fully connected layer, tanh: f = tanh(FC(mean_t h)), Eq. 34.

    The paper does not say how the sequence is pooled; the mean over time is the authors' choice in code.

    Args:
        width: D.
        bits: q.
        hidden: Width of a hidden layer between pooling and FC, followed by ReLU and dropout; 0 for the paper's plain
            FC.
        dropout: Dropout of the hidden layer.
        norm: Batch-normalize the pooled features, without scale and shift. Not in the paper.
        balance: Batch-normalize the value of every bit before tanh, without scale and shift, so that each bit is +1 for
            about half of the videos. Not in the paper.
        binary_steps: Code each time step by sign(LayerNorm(FC(h_t))), with the gradient of `hard_sign`, and average
            these codes over time: the code layer of ConMH and S5VH.

    Raises:
        AvnasError: Both `balance` and `binary_steps` are set.
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
        binary_steps: bool = False,
    ) -> None:
        super().__init__()
        if balance and binary_steps:
            raise AvnasError(
                "hash layer: balance normalizes the codes of videos, binary_steps codes time steps: take one"
            )
        self.norm = BatchNorm(width, affine=False) if norm else nn.Identity()
        self.body: nn.Module = nn.Identity()
        if hidden:
            self.body = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.fc = nn.Linear(hidden or width, bits)
        self.balance = BatchNorm(bits, affine=False) if balance else nn.Identity()
        self.step_norm = nn.LayerNorm(bits) if binary_steps else None

    def forward(self, h: Tensor) -> Tensor:
        """Maps (B, T, D) to the relaxed code of each video, (B, q), values in [-1, 1]."""
        if self.step_norm is not None:
            return self._binary(h).mean(dim=1)
        return self._relaxed(h.mean(dim=1))

    def codes_and_steps(self, h: Tensor) -> CodesAndSteps:
        """Maps (B, T, D) to relaxed codes of each video and of each time step."""
        if self.step_norm is not None:
            steps = self._binary(h)
            return CodesAndSteps(steps.mean(dim=1), steps)
        return CodesAndSteps(self(h), self._relaxed(h.flatten(0, 1)).view(*h.shape[:2], -1))

    def _relaxed(self, pooled: Tensor) -> Tensor:
        return torch.tanh(self.balance(self.fc(self.body(self.norm(pooled)))))

    def _binary(self, h: Tensor) -> Tensor:
        mapped = self.fc(self.body(self.norm(h.flatten(0, 1))))
        return hard_sign(cast(nn.LayerNorm, self.step_norm)(mapped)).view(*h.shape[:2], -1)
