"""Selective scan in plain PyTorch: forward and backward walk the time steps with buffers that are allocated once."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def scan_forward(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, keep_states: bool) -> tuple[Tensor, Tensor]:
    """Runs the recurrence without its `D * x` term.

    Returns:
        The output, (B, T, E), and the states after each step, (T, B, N, E), which are empty unless they are kept.
    """
    batch, steps, width = x.shape
    states = A.shape[1]
    a = A.t().contiguous()  # (N, E)
    drive = delta * x
    y = torch.empty_like(drive, memory_format=torch.contiguous_format)
    history = x.new_empty((steps if keep_states else 0, batch, states, width))
    decay = x.new_empty((batch, states, width))
    state = x.new_zeros((batch, states, width))
    for t in range(steps):
        torch.mul(delta[:, t, None], a, out=decay).exp_()
        following = history[t] if keep_states else state
        torch.mul(decay, state, out=following)
        following.addcmul_(B[:, t, :, None], drive[:, t, None])
        torch.bmm(C[:, t, None], following, out=y[:, t, None])
        state = following
    return y, history


def scan_backward(
    grad_y: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, history: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `scan_forward` for x, delta, A, B and C; exp(delta * A) is computed again, the states are not.

    With g_t = dL/dh_t: g_t = C_t dy_t + a_{t+1} g_{t+1}, a_t = exp(delta_t A); then dC_t = h_t dy_t, dB_t = g_t u_t and
    du_t = B_t g_t for u_t = delta_t x_t, and the exponent delta_t A gets g_t a_t h_{t-1}.
    """
    batch, steps, width = x.shape
    states = A.shape[1]
    a = A.t().contiguous()  # (N, E)
    drive = delta * x
    grad_drive, grad_delta = torch.empty_like(drive), torch.zeros_like(drive)
    grad_a = torch.zeros_like(a)
    grad_B, grad_C = B.new_empty((batch, steps, states)), C.new_empty((batch, steps, states))
    decay, exponent = x.new_empty((2, batch, states, width))
    grad_state = x.new_zeros((batch, states, width))
    for t in reversed(range(steps)):
        grad_state.addcmul_(C[:, t, :, None], grad_y[:, t, None])
        torch.bmm(history[t], grad_y[:, t, :, None], out=grad_C[:, t, :, None])
        torch.bmm(grad_state, drive[:, t, :, None], out=grad_B[:, t, :, None])
        torch.bmm(B[:, t, None], grad_state, out=grad_drive[:, t, None])
        if t == 0:
            break  # h_0 = 0: the first exponent has no gradient
        torch.mul(delta[:, t, None], a, out=decay).exp_()
        grad_state.mul_(decay)
        torch.mul(grad_state, history[t - 1], out=exponent)
        torch.mul(exponent, delta[:, t, None], out=decay)
        grad_a += decay.sum(0)
        torch.mul(exponent, a, out=decay)
        torch.sum(decay, 1, out=grad_delta[:, t])
    grad_delta.addcmul_(grad_drive, x)
    return grad_drive.mul_(delta), grad_delta, grad_a.t(), grad_B, grad_C


class _SelectiveScan(torch.autograd.Function):
    """`scan_forward` with `scan_backward` as its first derivative."""

    @staticmethod
    def forward(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            return scan_forward(x, delta, A, B, C, keep_states=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        history = output[1]
        ctx.mark_non_differentiable(history)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, history)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if grad_y is None:
            return (None,) * 5
        with torch.autocast(grad_y.device.type, enabled=False):
            return scan_backward(grad_y, *ctx.saved_tensors)


def scan_torch(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Chooses between the autograd function and, where nothing wants a gradient, the walk that keeps no states.

    Args:
        x: Input, (B, T, E); all tensors are of one floating-point type.
        delta: Step sizes, (B, T, E).
        A: State matrix, (E, N).
        B: Input projections, (B, T, N).
        C: Output projections, (B, T, N).
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, delta, A, B, C)):
        y: Tensor = _SelectiveScan.apply(x, delta, A, B, C)[0]  # type: ignore[no-untyped-call]
        return y
    with torch.autocast(x.device.type, enabled=False):
        return scan_forward(x, delta, A, B, C, keep_states=False)[0]
