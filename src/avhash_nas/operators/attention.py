"""Self-attention: bare in the encoders (type M), and as a Transformer encoder layer (type T)."""

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.kernels import dropout
from avhash_nas.operators.dropout import Dropout
from avhash_nas.operators.feedforward import FeedForward
from avhash_nas.operators.operator import Operator, check_dropout, check_heads


def multi_head_attention(query: Tensor, key: Tensor, value: Tensor, heads: int, probability: float) -> Tensor:
    """Scaled dot-product attention without projections, in heads of width W / heads: (B, T, W).

    The query is (B, T, W), key and value (B, S, W); `probability` is the dropout of attention weights.
    """
    query, key, value = (_split(tensor, heads) for tensor in (query, key, value))
    if probability and query.device.type == "cpu" and not torch.compiler.is_compiling():
        attended = _attend(query, key, value, probability)
    else:
        attended = nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=probability)
    return attended.transpose(1, 2).flatten(2)


def _attend(query: Tensor, key: Tensor, value: Tensor, probability: float) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V with dropout on (B, heads, T, d): faster than torch's on a CPU, which is not fused."""
    flat = [tensor.flatten(0, 1) for tensor in (query, key, value)]
    unused, scale = query.new_empty(()), query.shape[-1] ** -0.5
    similarity = torch.baddbmm(unused, flat[0], flat[1].transpose(1, 2), beta=0, alpha=scale)  # (B * heads, T, S)
    attended = torch.bmm(dropout(similarity.softmax(dim=-1), probability), flat[2])
    return attended.view(query.shape)


def _split(tensor: Tensor, heads: int) -> Tensor:
    """Turns (B, T, W) into (B, heads, T, W / heads)."""
    batch, steps, width = tensor.shape
    return tensor.reshape(batch, steps, heads, width // heads).transpose(1, 2)


class SelfAttention(Operator):
    """Z = MHA(X, X, X) without an output projection, which the MLP in the next cell replaces (Eq. 6).

    Table 1 gives 12 heads. (The authors' code has heads of width 64, hence 24 of them at E = 1536.)

    Args:
        width: W, of input and output.
        heads: Number of heads; divides the width.
        dropout: Probability of dropping an attention weight.

    Raises:
        AvnasError: The heads do not divide the width.
    """

    name = "self_attention"
    kinds = "M"

    def __init__(self, *, width: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        check_heads(type(self), width, heads)
        check_dropout(type(self), dropout)
        self.heads = heads
        self.dropout = dropout
        self.in_proj = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        query, key, value = self.in_proj(x).chunk(3, dim=-1)
        return multi_head_attention(query, key, value, self.heads, self.dropout if self.training else 0.0)


class TransformerLayer(Operator):
    """One Transformer encoder layer (Vaswani et al., 2017), normalized after each residual sum.

    Table 1 prints MHA(X, X, X) for this cell. The authors' code runs a one-layer BERT with position embeddings, a
    frozen class token and a pooler; here the sequence is returned, and the network takes its mean over time.

    Args:
        width: W, of input and output.
        heads: Number of heads; divides the width.
        hidden: Inner width of the feed-forward network.
        dropout: Probability of dropping an attention weight, an inner value, or a value of either branch.

    Raises:
        AvnasError: The heads do not divide the width.
    """

    name = "self_attention"
    kinds = "T"

    def __init__(self, *, width: int, heads: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attention = SelfAttention(width=width, heads=heads, dropout=dropout)
        self.out_proj = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width=width, hidden=hidden, dropout=dropout)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    @override
    def residual_outputs(self) -> tuple[nn.Linear, ...]:
        return (self.out_proj, self.feed_forward.linear_out)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        x = self.norm_attention(x + self.dropout(self.out_proj(self.attention(x))))
        z: Tensor = self.norm_feed_forward(x + self.dropout(self.feed_forward(x)))
        return z
