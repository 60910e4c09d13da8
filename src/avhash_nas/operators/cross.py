"""Cross-modal operators (type I), and their single-stream forms (self-fusion, type S)."""

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.kernels import selective_scan
from avhash_nas.operators.attention import multi_head_attention
from avhash_nas.operators.convolution import CausalConv1d
from avhash_nas.operators.dropout import Dropout
from avhash_nas.operators.operator import Operator, TwoSided, check_dropout, check_heads, check_positive
from avhash_nas.operators.ssm import MAMBA_KERNEL, scan_control, state_matrix, step_projection


class CrossAttention(TwoSided):
    """Z = LN(X + Drop(FC(MHA(X, Y, Y)))): queries from X, keys and values from Y.

    Table 1 prints MHA(X, Y, Y). Dropout, residual sum and normalization after it are the authors' code; the
    parameter counts of Table 2 hold with and without the norm.

    Args:
        width: D, of both inputs and of the output.
        heads: Number of heads; divides the width.
        dropout: Probability of dropping an attention weight or a value of the branch.

    Raises:
        AvnasError: The heads do not divide the width.
    """

    name = "cross_attention"
    kinds = "I"

    def __init__(self, *, width: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        check_heads(type(self), width, heads)
        check_dropout(type(self), dropout)
        self.heads = heads
        self.query_proj = nn.Linear(width, width)
        self.key_value_proj = nn.Linear(width, 2 * width)
        self.out_proj = nn.Linear(width, width)
        self.dropout = Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    @override
    def residual_outputs(self) -> tuple[nn.Linear, ...]:
        return (self.out_proj,)

    @override
    def left(self, x: Tensor) -> tuple[Tensor, ...]:
        return x, self.query_proj(x)

    @override
    def right(self, y: Tensor) -> tuple[Tensor, ...]:
        key, value = self.key_value_proj(y).chunk(2, dim=-1)
        return key, value

    @override
    def join(self, left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> Tensor:
        (x, query), (key, value) = left, right
        weight_dropout = self.dropout.p if self.training else 0.0
        attended = multi_head_attention(query, key, value, self.heads, weight_dropout)
        z: Tensor = self.norm(x + self.dropout(self.out_proj(attended)))
        return z


class CrossSSM(TwoSided):
    """CrossMamba, Eq. 15-32: X is scanned in both directions under the control of Y.

    Choices where the paper is silent or ambiguous:

    - Linear_x is three layers, one in each of Eq. 15, 16 and 17, as Fig. 3 and the parameter counts show.
    - Convolutions are those of Mamba and of the authors: depthwise, causal, kernel 4, with bias. Of the other layers,
      only Linear_delta has a bias.
    - Linear_delta (Eq. 21) is Mamba's: low rank, with softplus, as a scan needs positive steps.
    - A1 and A2 (Eq. 22, 23) are -exp of a parameter, as in Mamba; the D term of Mamba is not in the equations.
    - SiLU is applied twice to the gate, in Eq. 16 and Eq. 32, as printed. (Fig. 3 and the authors' code: once.)
    - The backward scan (Eq. 27, 28) pairs the reversed X with Y in its own order, as printed and as the authors'
      code does: step t of the reversed X, which is step T + 1 - t of the video, meets the controls of step t.
      `reverse_control` reverses the controls too.
    - LN is layer normalization. (The authors' code: RMSNorm.)

    Args:
        width: D, of both inputs and of the output.
        expand: Inner width E as a multiple of D.
        states: N, states of each channel.
        rank: Rank of the step size's projection.
        reverse_control: Whether the backward scan also reverses the controls, so that they stay aligned with X.
    """

    name = "cross_ssm"
    kinds = "I"

    def __init__(self, *, width: int, expand: int, states: int, rank: int, reverse_control: bool = False) -> None:
        super().__init__()
        check_positive(type(self), width=width, expand=expand, states=states, rank=rank)
        inner = expand * width
        self.states = states
        self.reverse_control = reverse_control
        self.norm_x = nn.LayerNorm(width)
        self.norm_y = nn.LayerNorm(width)
        self.in_proj_x = nn.Linear(width, 3 * inner, bias=False)
        self.in_proj_y = nn.Linear(width, inner, bias=False)
        self.conv1d_x = CausalConv1d(inner, MAMBA_KERNEL)
        self.conv1d_y = CausalConv1d(inner, MAMBA_KERNEL)
        self.y_proj = nn.Linear(inner, rank + 2 * states, bias=False)
        self.dt_proj = step_projection(rank, inner)
        self.A1_log = state_matrix(inner, states)
        self.A2_log = state_matrix(inner, states)
        self.out_proj = nn.Linear(inner, width, bias=False)

    @override
    def left(self, x: Tensor) -> tuple[Tensor, ...]:
        """Input, gate and residual of the scans, (B, T, E) each."""
        c_x, gate, residual = self.in_proj_x(self.norm_x(x)).chunk(3, dim=-1)
        c_x = self.conv1d_x(c_x)  # Eq. 15
        gate = nn.functional.silu(gate)  # Eq. 16; Eq. 17 is `residual`
        return c_x, nn.functional.silu(gate), residual

    @override
    def right(self, y: Tensor) -> tuple[Tensor, ...]:
        """Control of the scans: step sizes (B, T, E), input and output projections (B, T, N)."""
        c_y = self.conv1d_y(self.in_proj_y(self.norm_y(y)))  # Eq. 18
        return scan_control(c_y, self.y_proj, self.dt_proj, self.states)  # Eq. 19-21

    @override
    def join(self, left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> Tensor:
        (c_x, gate, residual), (delta, B, C) = left, right
        z = self._scan(c_x, (delta, B, C)) + residual
        fused: Tensor = self.out_proj(z * gate)  # Eq. 32
        return fused

    def _scan(self, c_x: Tensor, control: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Eq. 22-31: the sum of both scans, (B, T, E)."""
        delta, B, C = control
        forward = selective_scan(c_x, delta, -torch.exp(self.A1_log), B, C)
        if self.reverse_control:
            delta, B, C = delta.flip(1), B.flip(1), C.flip(1)
        backward = selective_scan(c_x.flip(1), delta, -torch.exp(self.A2_log), B, C)
        return forward + backward.flip(1)


class AlignedCrossSSM(CrossSSM):
    """`CrossSSM` with `reverse_control`, as a candidate of its own."""

    name = "aligned_cross_ssm"

    def __init__(self, *, width: int, expand: int, states: int, rank: int) -> None:
        super().__init__(width=width, expand=expand, states=states, rank=rank, reverse_control=True)


class _SelfFusion(Operator):
    """Z = cross(X, X), which replaces fusion in networks of one modality (section 5.3)."""

    kinds = "S"
    cross: TwoSided

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, D) to (B, T, D)."""
        z: Tensor = self.cross(x, x)
        return z


class SelfFusionAttention(_SelfFusion):
    """Z = CrossAttention(X, X), for networks of one modality; arguments as for `CrossAttention`."""

    name = "self_attention"

    def __init__(self, *, width: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.cross = CrossAttention(width=width, heads=heads, dropout=dropout)


class SelfFusionSSM(_SelfFusion):
    """Z = CrossSSM(X, X), for networks of one modality; arguments as for `CrossSSM`."""

    name = "self_ssm"

    def __init__(self, *, width: int, expand: int, states: int, rank: int, reverse_control: bool = False) -> None:
        super().__init__()
        self.cross = CrossSSM(width=width, expand=expand, states=states, rank=rank, reverse_control=reverse_control)
