"""Causal filters over time, one for each channel, in PyTorch: what skip and convolutions are, and any sum of them."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from avhash_nas.kernels.weighted_sum import halves, weighted_sum


class Filter(NamedTuple):
    """y_t = bias + sum_j taps[:, k - 1 - j] * x_{t - j}, with x = 0 before the first step.

    Args:
        taps: (W, k), the present step's last, as `nn.Conv1d` has them.
        bias: (W,), or None.
    """

    taps: Tensor
    bias: Tensor | None


def run_filter(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    """Applies a filter.

    On a CPU it adds up shifted sequences, which needs no copy of them in another layout: forward and backward twice as
    fast as `conv2d`, four times as fast as `conv1d`. Elsewhere it is `conv2d` on an image of height 1, channels last.
    Compiled for a CPU, the sum is written out, and the compiler makes one loop of it.

    Args:
        x: (B, T, W).
        taps: (W, k).
        bias: (W,).

    Returns:
        The output, (B, T, W), in the type of x.
    """
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        y: Tensor = _ShiftedSum.apply(x, taps, bias)  # type: ignore[no-untyped-call]
        return y
    padded = nn.functional.pad(x, (0, 0, taps.shape[1] - 1, 0))
    if x.device.type == "cpu" and torch.compiler.is_compiling() and not torch.compiler.is_exporting():
        shifted = [padded[:, j : j + x.shape[1]] * taps[:, j] for j in range(taps.shape[1])]
        return sum(shifted[1:], start=shifted[0] if bias is None else bias + shifted[0]).to(x.dtype)
    image = padded.transpose(1, 2).unsqueeze(2)  # (B, W, 1, T + k - 1), which lies in memory with channels last
    filtered = nn.functional.conv2d(image, taps[:, None, None], bias, groups=len(taps))
    return filtered.squeeze(2).transpose(1, 2)


def merge_filters(weights: Sequence[Tensor], filters: Sequence[Filter]) -> Filter:
    """The one filter that a weighted sum of filters is.

    Args:
        weights: A scalar for each filter.
        filters: Of one width, at least one.
    """
    parts = [(weight, each.bias) for weight, each in zip(weights, filters, strict=True) if each.bias is not None]
    taps: Tensor = _MixedTaps.apply(*weights, *(each.taps for each in filters))  # type: ignore[no-untyped-call]
    bias = weighted_sum([weight for weight, _ in parts], [bias for _, bias in parts]) if parts else None
    return Filter(taps, bias)


class _MixedTaps(torch.autograd.Function):
    """The weighted sum of taps, the shorter ones filled up with zeros in front."""

    @staticmethod
    def forward(*weights_and_taps: Tensor) -> Tensor:
        weights, taps = halves(weights_and_taps)
        wide = reduce(torch.promote_types, (each.dtype for each in taps))
        mixed = taps[0].new_zeros(len(taps[0]), max(each.shape[1] for each in taps), dtype=wide)
        for weight, each in zip(weights, taps, strict=True):
            mixed[:, -each.shape[1] :].addcmul_(each.to(wide), weight.to(wide))
        return mixed

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weights, taps = halves(ctx.saved_tensors)
        wanted = halves(ctx.needs_input_grad)[1]
        parts = [grad[:, -each.shape[1] :] for each in taps]
        by_weights = [
            (part * each).sum().to(weight.dtype) for part, each, weight in zip(parts, taps, weights, strict=True)
        ]
        by_taps = [
            (part * weight).to(each.dtype) if wants else None
            for part, each, weight, wants in zip(parts, taps, weights, wanted, strict=True)
        ]
        return *by_weights, *by_taps


class _ShiftedSum(torch.autograd.Function):
    """A filter as a sum of shifted sequences; differentiable any number of times."""

    @staticmethod
    def forward(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
        wide = torch.promote_types(x.dtype, taps.dtype)
        by_lag = _by_lag(taps, x.shape[1])
        y = x * by_lag[0] if bias is None else torch.addcmul(bias, x.to(wide), by_lag[0])
        for lag in range(1, len(by_lag)):
            y[:, lag:].addcmul_(x[:, :-lag].to(wide), by_lag[lag])
        return y.to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        x, taps, bias = inputs
        ctx.biased = bias is not None
        ctx.save_for_backward(x, taps)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, taps = ctx.saved_tensors
        grad_x = grad_taps = None
        if ctx.needs_input_grad[0]:
            grad_x = _against_time(grad, taps).to(x.dtype)
        if ctx.needs_input_grad[1]:
            grad_taps = _by_taps(grad.to(taps.dtype), x.to(taps.dtype), taps.shape[1])
        return grad_x, grad_taps, grad.sum((0, 1), dtype=taps.dtype) if ctx.biased else None


def _by_lag(taps: Tensor, steps: int) -> Tensor:
    """(k, W), the present step's tap first, without those that look back behind the first step."""
    return taps.t().flip(0)[: max(steps, 1)]


def _against_time(grad: Tensor, taps: Tensor) -> Tensor:
    """The gradient for the input, (B, T, W): the filter turned round in time."""
    by_lag = _by_lag(taps, grad.shape[1])
    total = grad * by_lag[0]
    for lag in range(1, len(by_lag)):
        total[:, :-lag].addcmul_(grad[:, lag:].to(total.dtype), by_lag[lag])
    return total


def _by_taps(grad: Tensor, x: Tensor, kernel: int) -> Tensor:
    """The gradient for the taps, (W, k): the gradient times the shifted input, summed over videos and time."""
    steps = x.shape[1]
    sums = [
        (grad[:, lag:] * x[:, : steps - lag]).sum((0, 1)) if lag < max(steps, 1) else x.new_zeros(x.shape[-1])
        for lag in reversed(range(kernel))
    ]
    return torch.stack(sums, 1)
