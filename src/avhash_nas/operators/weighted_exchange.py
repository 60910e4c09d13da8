"""LINK's interaction of modalities: attention over the other modality with two learned weights."""

import torch
from torch import Tensor, nn

from avhash_nas.operators.attention import multi_head_attention
from avhash_nas.operators.operator import Operator


class WeightedExchange(Operator):
    """F + alpha softmax(F G' / sqrt(W)) (beta G): a modality F takes from the other one, G, what its weights let it.

    The paper prints the product without the scale, for each time step by itself, where a softmax over one value would
    be 1; so it runs over the time steps of G here, and is scaled, as products of wide features saturate it. beta starts
    at 1; with alpha at 0 the operator starts as the identity. Only their product can be told from the outputs.

    Args:
        width: W, of input and output; no parameter depends on it.
        alpha: Start of alpha.
        trained: Train alpha and beta; otherwise they keep their start.
    """

    name = "weighted_exchange"
    kinds = "I"

    def __init__(self, *, width: int, alpha: float = 1.0, trained: bool = True) -> None:  # noqa: ARG002
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(alpha), requires_grad=trained)
        self.beta = nn.Parameter(torch.tensor(1.0), requires_grad=trained)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps (B, T, W), and (B, S, W) that it takes from, to (B, T, W)."""
        return x + self.alpha * multi_head_attention(x, y, self.beta * y, 1, 0.0)
