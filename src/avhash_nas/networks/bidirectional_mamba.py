"""The layer of S5VH: Mamba in both directions of time."""

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.operators.ssm import MambaMixer


class BidirectionalMamba(nn.Module):
    """x + DropPath(Mamba_1(LN_1(x)) + flip(Mamba_2(flip(LN_2(x))))), without an MLP.

    From S5VH (Wang et al., AAAI 2025). The released code replaces the backward Mamba by the forward one in every pass,
    so that both directions share their weights; `tied` does the same.

    Args:
        width: D, of input and output.
        expand: Inner width of a Mamba as a multiple of D.
        states: N, states of each channel. The rank of the step size's projection is ceil(D / 16).
        drop_path: Probability that a video passes the layer unchanged in training.
        tied: One Mamba for both directions; the two norms stay separate.

    Raises:
        AvnasError: `drop_path` is not in [0, 1).
    """

    def __init__(
        self, width: int, *, expand: int = 2, states: int = 16, drop_path: float = 0.0, tied: bool = False
    ) -> None:
        super().__init__()
        if not 0 <= drop_path < 1:
            raise AvnasError(f"drop_path must be in [0, 1), got {drop_path}")
        sizes = (width, expand * width, states, math.ceil(width / 16))
        self.drop_path = drop_path
        self.forward_norm = nn.LayerNorm(width, eps=1e-6)
        self.backward_norm = nn.LayerNorm(width, eps=1e-6)
        self.forward_mixer = MambaMixer(*sizes)
        self.backward_mixer = None if tied else MambaMixer(*sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, D) to (B, T, D)."""
        ahead, back = self.forward_norm(x), self.backward_norm(x).flip(1)
        if self.backward_mixer is None:
            ahead, back = self.forward_mixer(torch.cat([ahead, back])).chunk(2)
        else:
            ahead, back = self.forward_mixer(ahead), self.backward_mixer(back)
        return x + self._dropped(ahead + back.flip(1))

    def _dropped(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop_path
        return branch * kept / (1 - self.drop_path)

    @override
    def extra_repr(self) -> str:
        return f"drop_path={self.drop_path}, tied={self.backward_mixer is None}"
