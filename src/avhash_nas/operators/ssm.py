"""State-space models: the bare selective scan (type M) and the residual Mamba block (type T)."""

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.kernels import selective_scan
from avhash_nas.operators.convolution import CausalConv1d
from avhash_nas.operators.operator import Operator, check_positive

MAMBA_KERNEL = 4
"""Kernel of the convolution before a scan, in Mamba and in the authors' code."""

_STEP_MIN, _STEP_MAX, _STEP_FLOOR = 1e-3, 1e-1, 1e-4


def step_projection(rank: int, width: int) -> nn.Linear:
    """A layer from the low-rank step size to all channels, initialized as in Mamba.

    Softplus of its bias, the step size at zero input, is log-uniform in [0.001, 0.1].
    """
    projection = nn.Linear(rank, width)
    nn.init.uniform_(projection.weight, -(rank**-0.5), rank**-0.5)
    with torch.no_grad():
        step = torch.exp(torch.empty(width).uniform_(math.log(_STEP_MIN), math.log(_STEP_MAX))).clamp_min(_STEP_FLOOR)
        projection.bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus
    return projection


def state_matrix(width: int, states: int) -> nn.Parameter:
    """The parameter log(-A), (E, N), initialized with log(1), ..., log(N) per channel (S4D-Real, as in Mamba)."""
    return nn.Parameter(torch.arange(1, states + 1, dtype=torch.get_default_dtype()).log().repeat(width, 1))


def scan_control(control: Tensor, x_proj: nn.Linear, dt_proj: nn.Linear, states: int) -> tuple[Tensor, Tensor, Tensor]:
    """Control of a scan: step sizes (B, T, E), input and output projections (B, T, N), from a sequence (B, T, E)."""
    step, B, C = x_proj(control).split([x_proj.out_features - 2 * states, states, states], dim=-1)
    return nn.functional.softplus(dt_proj(step)), B, C


class SelfSSM(Operator):
    """The selective scan of Mamba alone, controlled by its own input.

    It has no gate, convolution and output projection, for which the encoder has other cells (Eq. 9).

    Args:
        width: W, of input and output.
        states: N, states of each channel.
        rank: Rank of the step size's projection. (The authors' code: 4 at all widths; Mamba: W / 16.)
    """

    name = "self_ssm"
    kinds = "M"

    def __init__(self, *, width: int, states: int, rank: int) -> None:
        super().__init__()
        check_positive(type(self), width=width, states=states, rank=rank)
        self.states = states
        self.x_proj = nn.Linear(width, rank + 2 * states, bias=False)
        self.dt_proj = step_projection(rank, width)
        self.A_log = state_matrix(width, states)
        self.D = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        delta, B, C = scan_control(x, self.x_proj, self.dt_proj, self.states)
        return selective_scan(x, delta, -torch.exp(self.A_log), B, C, self.D)


class MambaMixer(nn.Module):
    """The Mamba mixer (Gu and Dao, 2023, Fig. 3), with the parameter names of mamba-ssm.

    Args:
        width: D, of input and output.
        inner: E, inner width.
        states: N, states of each channel.
        rank: Rank of the step size's projection.
    """

    def __init__(self, width: int, inner: int, states: int, rank: int) -> None:
        super().__init__()
        self.states = states
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d = CausalConv1d(inner, MAMBA_KERNEL)
        self.x_proj = nn.Linear(inner, rank + 2 * states, bias=False)
        self.dt_proj = step_projection(rank, inner)
        self.A_log = state_matrix(inner, states)
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, D) to (B, T, D)."""
        x, gate = self.in_proj(x).chunk(2, dim=-1)  # (B, T, E) each
        x = nn.functional.silu(self.conv1d(x))
        delta, B, C = scan_control(x, self.x_proj, self.dt_proj, self.states)
        y = selective_scan(x, delta, -torch.exp(self.A_log), B, C, self.D)
        z: Tensor = self.out_proj(y * nn.functional.silu(gate))
        return z


class MambaBlock(Operator):
    """Z = X + Mixer(RMSNorm(X)), the residual Mamba block.

    The authors' code also takes the mean over time here; this network takes it after the cell, for every candidate.

    Args:
        width: D, of input and output.
        expand: Inner width as a multiple of D.
        states: N, states of each channel.
        rank: Rank of the step size's projection.
    """

    name = "self_ssm"
    kinds = "T"

    def __init__(self, *, width: int, expand: int, states: int, rank: int) -> None:
        super().__init__()
        check_positive(type(self), width=width, expand=expand, states=states, rank=rank)
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.mixer = MambaMixer(width, expand * width, states, rank)

    @override
    def residual_outputs(self) -> tuple[nn.Linear, ...]:
        return (self.mixer.out_proj,)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, D) to (B, T, D)."""
        z: Tensor = x + self.mixer(self.norm(x))
        return z
