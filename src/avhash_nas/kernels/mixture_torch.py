"""The mixture in PyTorch: weighted sums, and causal filters over time.

A causal filter is what skip connections and depthwise convolutions are, and any weighted sum of them.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class Filter(NamedTuple):
    """y_t = bias + sum_j taps[:, k - 1 - j] * x_{t - j}, with x = 0 before the first step.

    Args:
        taps: (W, k), current step last, as in `nn.Conv1d`.
        bias: (W,), or None.
    """

    taps: Tensor
    bias: Tensor | None


def mixture_torch(
    x: Tensor | None,
    filter_weights: Sequence[Tensor],
    filters: Sequence[Filter],
    weights: Sequence[Tensor],
    terms: Sequence[Tensor],
) -> Tensor:
    """`avhash_nas.kernels.mixture` for any tensors."""
    start = None if x is None else run_filter(x, *merge_filters(filter_weights, filters))
    return weighted_sum(weights, terms, start=start)


def weighted_sum(weights: Sequence[Tensor], terms: Sequence[Tensor], start: Tensor | None = None) -> Tensor:
    """Computes start + sum_k weights[k] * terms[k] (Eq. 39), in the widest type; `start` is required without terms.

    Under autograd, plain products and sums take five more passes over memory per term.
    """
    if not terms:
        assert start is not None
        return start
    total: Tensor = _WeightedSum.apply(start, *weights, *terms)  # type: ignore[no-untyped-call]
    return total


class _WeightedSum(torch.autograd.Function):
    """Differentiable any number of times."""

    @staticmethod
    def forward(start: Tensor | None, *scalars_and_terms: Tensor) -> Tensor:
        weights, terms = _halves(scalars_and_terms)
        wide = reduce(torch.promote_types, (term.dtype for term in (*terms, *([] if start is None else [start]))))
        first = weights[0].to(wide), terms[0].to(wide)
        total = first[0] * first[1] if start is None else torch.addcmul(start.to(wide), *first)
        for weight, term in zip(weights[1:], terms[1:], strict=True):
            total.addcmul_(term.to(wide), weight.to(wide))
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
        start, *scalars_and_terms = inputs
        ctx.start = None if start is None else start.dtype
        ctx.save_for_backward(*scalars_and_terms)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weights, terms = _halves(ctx.saved_tensors)
        needs_weights, needs_terms = _halves(ctx.needs_input_grad[1:])
        flat = grad.flatten()
        by_weights = [
            torch.dot(flat, term.to(grad.dtype).flatten()).to(weight.dtype) if needed else None
            for weight, term, needed in zip(weights, terms, needs_weights, strict=True)
        ]
        by_terms = [
            (grad * weight.to(grad.dtype)).to(term.dtype) if needed else None
            for weight, term, needed in zip(weights, terms, needs_terms, strict=True)
        ]
        return None if ctx.start is None else grad.to(ctx.start), *by_weights, *by_terms


def run_filter(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    """`avhash_nas.kernels.causal_filter` in PyTorch.

    On a CPU it adds shifted sequences, which avoids copies to another layout: forward and backward are twice as fast as
    `conv2d`, four times as fast as `conv1d`. Under torch.compile for a CPU, the sum is unrolled into one loop.
    Elsewhere it is `conv2d` on an image of height 1, channels last.
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
    """Merges a weighted sum of at least one filter into a single filter."""
    parts = [(weight, each.bias) for weight, each in zip(weights, filters, strict=True) if each.bias is not None]
    taps: Tensor = _MixedTaps.apply(*weights, *(each.taps for each in filters))  # type: ignore[no-untyped-call]
    bias = weighted_sum([weight for weight, _ in parts], [bias for _, bias in parts]) if parts else None
    return Filter(taps, bias)


class _MixedTaps(torch.autograd.Function):
    """Weighted sum of taps, zero-padded at the front."""

    @staticmethod
    def forward(*weights_and_taps: Tensor) -> Tensor:
        weights, taps = _halves(weights_and_taps)
        wide = reduce(torch.promote_types, (each.dtype for each in taps))
        mixed = taps[0].new_zeros(len(taps[0]), max(each.shape[1] for each in taps), dtype=wide)
        for weight, each in zip(weights, taps, strict=True):
            mixed[:, -each.shape[1] :].addcmul_(each.to(wide), weight.to(wide))
        return mixed

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weights, taps = _halves(ctx.saved_tensors)
        needed = _halves(ctx.needs_input_grad)[1]
        parts = [grad[:, -each.shape[1] :] for each in taps]
        by_weights = [
            (part * each).sum().to(weight.dtype) for part, each, weight in zip(parts, taps, weights, strict=True)
        ]
        by_taps = [
            (part * weight).to(each.dtype) if needs else None
            for part, each, weight, needs in zip(parts, taps, weights, needed, strict=True)
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
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
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
    """(k, W), current step first, without taps that reach before the first step."""
    return taps.t().flip(0)[: max(steps, 1)]


def _against_time(grad: Tensor, taps: Tensor) -> Tensor:
    """Gradient of the input, (B, T, W): the filter reversed in time."""
    by_lag = _by_lag(taps, grad.shape[1])
    total = grad * by_lag[0]
    for lag in range(1, len(by_lag)):
        total[:, :-lag].addcmul_(grad[:, lag:].to(total.dtype), by_lag[lag])
    return total


def _by_taps(grad: Tensor, x: Tensor, kernel: int) -> Tensor:
    """Gradient of the taps, (W, k): output gradient times shifted input, summed over videos and time."""
    steps = x.shape[1]
    sums = [
        (grad[:, lag:] * x[:, : steps - lag]).sum((0, 1)) if lag < max(steps, 1) else x.new_zeros(x.shape[-1])
        for lag in reversed(range(kernel))
    ]
    return torch.stack(sums, 1)


def _halves(values: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Splits a sequence into two halves of equal length, such as weights and terms."""
    middle = len(values) // 2
    return values[:middle], values[middle:]
