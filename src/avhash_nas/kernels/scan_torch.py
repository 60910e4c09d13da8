"""Selective scan in plain PyTorch: forward and backward loop over time with preallocated buffers.

Internally, time is the first axis and states are (B, N, E), so that every operation runs along E, the long axis.

The decay exp(delta A) is computed as exp2(delta A log2(e)), which on a CPU is three times as fast as exp, and twenty
times in case of underflow. Its relative error is that of rounding the exponent twice: |delta A| / 2^23 in float32.

Forward stores one state in about sqrt(T); backward recomputes the states and decays of one segment at a time. Storing
all T states is slower, as touching memory for the first time costs more than the arithmetic; large batches are split
on a CPU for the same reason.

Products are written to preallocated buffers (`out=`), whose type autocast does not change.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CACHED = 2**18
"""Elements of one state, B * N * E, above which the buffers of a step no longer fit into a CPU's caches."""


def scan_torch(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The scan without its `D * x` term, all tensors of one floating-point type; stores no state without gradients."""
    parts = 1
    if x.device.type == "cpu" and not torch.compiler.is_compiling():  # an exported graph must support any batch size
        parts = math.ceil(x.shape[0] * A.numel() / _CACHED)
    if parts <= 1:
        return _scan(x, delta, A, B, C)
    chunks = zip(*(tensor.chunk(parts) for tensor in (x, delta, B, C)))
    return torch.cat([_scan(x, delta, A, B, C) for x, delta, B, C in chunks])


def _scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, delta, A, B, C)):
        y: Tensor = _SelectiveScan.apply(x, delta, A, B, C)[0]  # type: ignore[no-untyped-call]
        return y
    return _forward(x, delta, A, B, C)[0]


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
        return _forward(x, delta, A, B, C, _segment(x.shape[1]))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if grad_y is None:
            return (None,) * 5
        return _backward(grad_y, *ctx.saved_tensors)


def _segment(steps: int) -> int:
    """Time steps between stored states: sqrt(T), rounded up, minimizes the number of states in memory."""
    return math.isqrt(max(steps - 1, 0)) + 1


def _forward(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, segment: int | None = None
) -> tuple[Tensor, Tensor]:
    """Returns the output, and the states before steps 0, segment, 2 segment, ..., (ceil(T / segment) or 0, B, N, E)."""
    (batch, steps, width), states = x.shape, A.shape[1]
    a_binary = A.t().contiguous() * math.log2(math.e)  # (N, E)
    delta, drive, B, C = (_swap(tensor) for tensor in (delta, delta * x, B, C))
    y = x.new_empty((steps, batch, width))
    kept = x.new_empty((math.ceil(steps / segment) if segment else 0, batch, states, width))
    decay, state = x.new_zeros((2, batch, states, width))
    for t in range(steps):
        if segment and t % segment == 0:
            kept[t // segment] = state
        _advance(delta[t], a_binary, B[t], drive[t], state, decay, state)
        torch.bmm(C[t, :, None], state, out=y[t, :, None])
    return _swap(y), kept


def _backward(
    grad_y: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of x, delta, A, B and C.

    With a_t = exp(delta_t A), u_t = delta_t x_t and g_t = dL/dh_t = C_t dy_t + a_{t+1} g_{t+1}:
    dC_t = h_t dy_t, dB_t = g_t u_t, du_t = B_t g_t, and the exponent delta_t A has the gradient g_t a_t h_{t-1}.
    """
    (batch, steps, width), states = x.shape, A.shape[1]
    segment = _segment(steps)
    a = A.t().contiguous()  # (N, E)
    a_binary = a * math.log2(math.e)
    grad_y, x, delta, B, C = (_swap(tensor) for tensor in (grad_y, x, delta, B, C))
    drive = delta * x
    grad_drive, grad_delta, grad_a = torch.empty_like(drive), torch.empty_like(drive), torch.zeros_like(a)
    grad_B, grad_C = torch.empty_like(B), torch.empty_like(C)
    grad_state, product = x.new_zeros((2, batch, states, width))
    decays, history = x.new_empty((2, segment, batch, states, width))
    for start in reversed(range(0, steps, segment)):
        before = kept[start // segment]
        span = range(start, min(start + segment, steps))
        for i, t in enumerate(span):
            _advance(delta[t], a_binary, B[t], drive[t], history[i - 1] if i else before, decays[i], history[i])
        for i, t in reversed(list(enumerate(span))):
            grad_state.addcmul_(C[t, :, :, None], grad_y[t, :, None])
            torch.bmm(grad_y[t, :, None], history[i].transpose(1, 2), out=grad_C[t, :, None])
            torch.bmm(drive[t, :, None], grad_state.transpose(1, 2), out=grad_B[t, :, None])
            torch.bmm(B[t, :, None], grad_state, out=grad_drive[t, :, None])
            grad_state.mul_(decays[i])
            grad_exponent = torch.mul(grad_state, history[i - 1] if i else before, out=history[i])
            torch.sum(torch.mul(grad_exponent, a, out=product), 1, out=grad_delta[t])
            grad_a += grad_exponent.mul_(delta[t, :, None]).sum(0)
    grad_delta.addcmul_(grad_drive, x)
    grad_x = grad_drive.mul_(delta)
    return _swap(grad_x), _swap(grad_delta), grad_a.t(), _swap(grad_B), _swap(grad_C)


def _advance(
    delta: Tensor, a_binary: Tensor, B: Tensor, drive: Tensor, state: Tensor, decay: Tensor, following: Tensor
) -> None:
    """One step: writes exp(delta A) to `decay` and h_t = exp(delta A) h_{t-1} + B u to `following`."""
    torch.mul(delta[:, None], a_binary, out=decay).exp2_()
    torch.mul(decay, state, out=following).addcmul_(B[:, :, None], drive[:, None])


def _swap(tensor: Tensor) -> Tensor:
    """Copies (B, T, W) to contiguous (T, B, W), or back."""
    return tensor.transpose(0, 1).contiguous()
