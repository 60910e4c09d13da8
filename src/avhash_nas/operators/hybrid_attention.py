"""The layer of HAN: one modality attends to itself and to the other."""

from torch import Tensor, nn

from avhash_nas.operators.attention import multi_head_attention
from avhash_nas.operators.dropout import Dropout
from avhash_nas.operators.feedforward import FeedForward
from avhash_nas.operators.operator import Operator, check_dropout, check_heads


class HybridAttention(Operator):
    """x = LN(q + drop SelfAtt(q) + drop CrossAtt(q, other)); LN(x + drop FFN(x)) (Tian et al., ECCV 2020).

    Both attentions have projections of their own, initialized as `nn.MultiheadAttention` initializes them. Networks of
    HAN's family use one set of weights for both modalities.

    Args:
        width: W, of input and output.
        heads: Number of heads; divides the width.
        hidden: Inner width of the FFN.
        dropout: Of attention weights, of both attentions' outputs, and within and after the FFN.

    Raises:
        AvnasError: The heads do not divide the width.
    """

    name = "hybrid_attention"
    kinds = "I"

    def __init__(self, *, width: int, heads: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        check_heads(type(self), width, heads)
        check_dropout(type(self), dropout)
        self.within = _Attention(width, heads, dropout)
        self.across = _Attention(width, heads, dropout)
        self.feed_forward = FeedForward(width=width, hidden=hidden, dropout=dropout)
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps (B, T, W), and (B, S, W) that it attends to, to (B, T, W)."""
        x = self.norm_attention(x + self.dropout(self.across(x, y)) + self.dropout(self.within(x, x)))
        z: Tensor = self.norm_feed_forward(x + self.dropout(self.feed_forward(x)))
        return z


class _Attention(nn.Module):
    """Multi-head attention of x over y with input and output projections."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        width = x.shape[-1]
        weight, bias = self.in_proj.weight, self.in_proj.bias
        query = nn.functional.linear(x, weight[:width], bias[:width])
        key, value = nn.functional.linear(y, weight[width:], bias[width:]).chunk(2, dim=-1)
        attended = multi_head_attention(query, key, value, self.heads, self.dropout if self.training else 0.0)
        output: Tensor = self.out_proj(attended)
        return output
