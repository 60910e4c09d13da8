"""The Transformer block of vision transformers."""

import torch
from torch import Tensor, nn

from avhash_nas.operators.attention import multi_head_attention


class ViTBlock(nn.Module):
    """x + MHA(LN(x)), then x + MLP(LN(x)): normalized before each branch, without dropout, as in masked autoencoders.

    Queries and values have a bias; keys have none, as it would add the same to all scores of a query and change
    nothing.

    Args:
        width: D, of input and output.
        heads: Number of heads, each floor(D / heads) wide; where they do not divide D, attention is narrower than D.
        expand: Inner width of the MLP as a multiple of D.
    """

    def __init__(self, width: int, heads: int, expand: int = 4) -> None:
        super().__init__()
        inner = width // heads * heads
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * inner, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(inner))
        self.value_bias = nn.Parameter(torch.zeros(inner))
        self.attention_out = nn.Linear(inner, width)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, expand * width), nn.GELU(), nn.Linear(expand * width, width))
        start_linear_layers(self)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, D) to (B, T, D)."""
        bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        query, key, value = nn.functional.linear(self.attention_norm(x), self.qkv.weight, bias).chunk(3, dim=-1)
        x = x + self.attention_out(multi_head_attention(query, key, value, self.heads, 0.0))
        z: Tensor = x + self.mlp(self.mlp_norm(x))
        return z


def start_linear_layers(module: nn.Module) -> None:
    """Initializes all `nn.Linear` of a module as masked autoencoders do: Glorot's uniform weights, zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Computes fixed position vectors: sin(p / 10000^(2i/D)) at entry 2i, the cosine of the same at 2i + 1.

    Args:
        positions: Indices of time steps, any shape.
        width: D, even.

    Returns:
        Shape (*positions.shape, D), float32.
    """
    even = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32)
    angle = positions[..., None].float() / 10_000 ** (even / width)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)
