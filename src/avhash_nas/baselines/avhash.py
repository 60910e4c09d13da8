"""AVHash: three Transformer encoders, cross attention and gates (Zhou et al., ACM MM 2024; the authors' code)."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, Route
from avhash_nas.operators import GatedAttention
from avhash_nas.operators.attention import multi_head_attention
from avhash_nas.operators.dropout import Dropout

_EPS = 1e-12


class BertEncoder(nn.Module):
    """One layer of BERT over a sequence with a leading trained token, and BERT's pooler on that token.

    The input is x plus positions, layer-normalized. The layer normalizes after each residual sum; its feed-forward
    network has GELU and four times the width. BERT's type vector, which it adds to all tokens, is part of the positions
    here.

    Args:
        width: W, of input and output.
        heads: Number of heads; divides the width.
        frames: Largest number of time steps.
        dropout: Dropout of the input, the attention weights, and the output of either branch.
    """

    def __init__(self, width: int, heads: int, frames: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.positions = nn.Parameter(torch.empty(1 + frames, width))
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.query_proj = nn.Linear(width, width)
        self.key_value_proj = nn.Linear(width, 2 * width)
        self.out_proj = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width, eps=_EPS)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm_feed_forward = nn.LayerNorm(width, eps=_EPS)
        self.pooler = nn.Linear(width, width)
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.positions, std=0.02)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, T, W) to the encoded steps, (B, T, W), and the pooled sequence, (B, W), values in (-1, 1)."""
        x = self._layer(x, 1 + x.shape[1])
        return x[:, 1:], torch.tanh(self.pooler(x[:, 0]))

    def pool(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to the pooled sequence only, (B, W), without encoding the other tokens."""
        return torch.tanh(self.pooler(self._layer(x, 1)[:, 0]))

    def _layer(self, x: Tensor, count: int) -> Tensor:
        """Encodes the first `count` tokens, (B, count, W)."""
        token = x.new_zeros(len(x), 1, x.shape[2])
        x = torch.cat([token, x], dim=1) + self.positions[: 1 + x.shape[1]]
        x = self.dropout(self.norm(x))
        key, value = self.key_value_proj(x).chunk(2, dim=-1)
        x = x[:, :count]
        weight_dropout = self.dropout.p if self.training else 0.0
        attended = multi_head_attention(self.query_proj(x), key, value, self.heads, weight_dropout)
        x = self.norm_attention(x + self.dropout(self.out_proj(attended)))
        z: Tensor = self.norm_feed_forward(x + self.dropout(self.feed_forward(x)))
        return z


class PlainCrossAttention(nn.Module):
    """FC(MHA(X, Y, Y)) without dropout, residual sum or norm; only FC has a bias.

    Args:
        width: W, of both inputs and of the output.
        heads: Number of heads; divides the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_proj = nn.Linear(width, width, bias=False)
        self.key_value_proj = nn.Linear(width, 2 * width, bias=False)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps X, (B, T, W), and Y, (B, S, W), to (B, T, W)."""
        key, value = self.key_value_proj(y).chunk(2, dim=-1)
        attended: Tensor = self.out_proj(multi_head_attention(self.query_proj(x), key, value, self.heads, 0.0))
        return attended


class Views(NamedTuple):
    """The outputs of AVHash.

    Attributes:
        codes: Relaxed codes, shape (B, q).
        visual: Pooled visual sequence, shape (B, W).
        audio: Pooled audio sequence, shape (B, W).
    """

    codes: Tensor
    visual: Tensor
    audio: Tensor


class AVHash(HashNetwork):
    """Encoders of both modalities, cross attention both ways, gates, an encoder of the sum, f = tanh(FC(pooled)).

        V' = V + enc_V(V),  A' = A + enc_A(A)
        V_f = gate(V', cross(V', A')),  A_f = gate(A', cross(A', V')),  code from the pooler of enc(gate(V_f, A_f))

    A gate is `operators.GatedAttention`. Trained by `AVHashLoss` with labels. What differs from the authors' code:

    - Their encoders start from weights that are not released (by the settings, BERT's); here the start is random.
    - Their leading token is a fixed vector from a file plus a trained position; here it is one trained vector.
    - Their position tables have 512 rows, beside BERT's unused word tables. Without all embeddings, and with a linear
      layer that nothing uses, their network has the papers' 28.4 M parameters.

    Args:
        visual_dim: Width of the frame features. Mapped to W by a fully connected layer where it differs from W.
        audio_dim: Width of the segment features, likewise.
        frames: T, the largest number of time steps of a video; each has a trained position.
        bits: Code length q (the authors' code: 16).
        width: W.
        heads: Attention heads; they must divide W.
        dropout: Dropout of the encoders.

    Raises:
        AvnasError: The heads do not divide the width.
    """

    default_components: ClassVar = {
        "objective": "avhash_nas.baselines.AVHashLoss",
        "data.sampling": "avhash_nas.data.Triplets",
    }

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        frames: int,
        bits: int,
        *,
        width: int = 768,
        heads: int = 12,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if width % heads:
            raise AvnasError(f"AVHash: {heads} heads do not divide the width {width}")
        self.bits = bits
        self.frames = frames
        self.visual_input = _input(visual_dim, width)
        self.audio_input = _input(audio_dim, width)
        self.visual = BertEncoder(width, heads, frames, dropout)
        self.audio = BertEncoder(width, heads, frames, dropout)
        self.video = BertEncoder(width, heads, frames, dropout)
        self.visual_cross = PlainCrossAttention(width, heads)
        self.audio_cross = PlainCrossAttention(width, heads)
        self.visual_gate = GatedAttention(width=width)
        self.audio_gate = GatedAttention(width=width)
        self.gate = GatedAttention(width=width)
        self.hash = nn.Linear(width, bits)

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        return self.views(visual, audio).codes

    def views(self, visual: Tensor, audio: Tensor) -> Views:
        """Computes relaxed codes and the pooled sequences of both modalities.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).

        Raises:
            AvnasError: T exceeds the number of positions of the network.
        """
        if visual.shape[1] > self.frames:
            raise AvnasError(f"AVHash: the network has {self.frames} positions and got {visual.shape[1]} time steps")
        v, a = self.visual_input(visual), self.audio_input(audio)
        encoded_v, pooled_v = self.visual(v)
        encoded_a, pooled_a = self.audio(a)
        v, a = encoded_v + v, encoded_a + a
        fused_v = self.visual_gate(v, self.visual_cross(v, a))
        fused_a = self.audio_gate(a, self.audio_cross(a, v))
        pooled = self.video.pool(self.gate(fused_v, fused_a))
        return Views(torch.tanh(self.hash(pooled)), pooled_v, pooled_a)

    @property
    @override
    def head(self) -> nn.Module:
        return self.hash


def _input(dim: int, width: int) -> nn.Module:
    return nn.Identity() if dim == width else nn.Linear(dim, width)
