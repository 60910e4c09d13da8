"""Mixture and dropout as C++ operators for CPUs, compiled on first use (`avhash_nas.kernels.compiled`)."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avhash_nas.kernels.compiled import compile_library, load_or_warn
from avhash_nas.kernels.mixture_torch import Filter, mixture_torch

_SOURCE = Path(__file__).with_suffix(".cpp")
_TYPES = (torch.float32, torch.float64)


def fits(*tensors: Tensor) -> bool:
    """Whether the operators support the tensors: non-empty, on the CPU, all float32 or all float64."""
    kind = tensors[0].dtype
    if kind not in _TYPES or torch.compiler.is_compiling():
        return False
    return all(each.is_cpu and each.dtype == kind and each.numel() for each in tensors) and _load()


@cache
def _load() -> bool:
    """Compiles or loads the library, once per process; warns if it is unavailable."""

    def load() -> bool:
        torch.ops.load_library(compile_library(_SOURCE, "small operators", with_torch=True)[0])  # type: ignore[no-untyped-call]
        return True

    return bool(load_or_warn(load, "mixtures and dropout run in PyTorch on the CPU: their operators are unavailable"))


def mixture_native(
    x: Tensor | None,
    filter_weights: Sequence[Tensor],
    filters: Sequence[Filter],
    weights: Sequence[Tensor],
    terms: Sequence[Tensor],
) -> Tensor:
    """`avhash_nas.kernels.mixture` for tensors that `fits` accepts."""
    taps, biases = zip(*filters, strict=True) if filters else ((), ())
    sizes = len(filters), len(terms)
    y: Tensor = _Mixture.apply(sizes, x, *filter_weights, *taps, *biases, *weights, *terms)  # type: ignore[no-untyped-call]
    return y


def _parts(sizes: tuple[int, int], flat: Sequence[Any]) -> tuple[Sequence[Any], ...]:
    """Splits a sequence into weights, taps and biases of the filters, weights and terms."""
    filters, terms = sizes
    ends = [filters, 2 * filters, 3 * filters, 3 * filters + terms, 3 * filters + 2 * terms]
    return tuple(flat[start:end] for start, end in zip([0, *ends], ends))


class _Mixture(torch.autograd.Function):
    """Uses `ctx` in `forward`, as `setup_context` would cost more than the operator on a small batch."""

    @staticmethod
    def forward(ctx: Any, sizes: tuple[int, int], x: Tensor | None, *flat: Tensor | None) -> Tensor:
        ctx.sizes = sizes
        ctx.save_for_backward(x, *flat)
        filter_weights, taps, biases, weights, terms = _parts(sizes, flat)
        y: Tensor = torch.ops.avhash_nas.mixture(x, taps, _filled(biases, taps), filter_weights, terms, weights)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *flat = ctx.saved_tensors
        filter_weights, taps, biases, weights, terms = _parts(ctx.sizes, flat)
        _, *needed = ctx.needs_input_grad
        if torch.is_grad_enabled():
            return None, *_differentiable(grad, x, flat, ctx.sizes, needed)
        terms_needed = [int(each) for each in _parts(ctx.sizes, needed[1:])[-1]]
        grad_x, by_taps, by_biases, by_filter_weights, by_terms, by_weights = torch.ops.avhash_nas.mixture_backward(
            *(grad, x, taps, _filled(biases, taps), filter_weights, terms, weights, needed[0], terms_needed)
        )
        gradients = chain([grad_x], by_filter_weights.unbind(), by_taps, by_biases, by_weights.unbind(), by_terms)
        return None, *(gradient if needs else None for gradient, needs in zip(gradients, needed))


def _filled(biases: Sequence[Tensor | None], taps: Sequence[Tensor]) -> list[Tensor]:
    """Biases for the operator, which takes empty tensors for missing ones."""
    return [each.new_empty(0) if bias is None else bias for bias, each in zip(biases, taps, strict=True)]


def _differentiable(
    grad: Tensor, x: Tensor | None, flat: Sequence[Tensor | None], sizes: tuple[int, int], needed: Sequence[bool]
) -> list[Tensor | None]:
    """Gradients that can be differentiated again."""
    x, *flat = (each if each is None else each.view_as(each) for each in (x, *flat))  # cuts dependence of terms on x
    filter_weights, taps, biases, weights, terms = _parts(sizes, flat)
    y = mixture_torch(x, filter_weights, [*map(Filter, taps, biases)], weights, terms)
    inputs = [each for each, needs in zip((x, *flat), needed, strict=True) if needs and each is not None]
    gradients = iter(torch.autograd.grad(y, inputs, grad, create_graph=True))
    return [next(gradients) if needs else None for needs in needed]


def dropout_native(x: Tensor, dropped: int, scale: float, *, rectify: bool) -> Tensor:
    """`avhash_nas.kernels.dropout` of a tensor that `fits` accepts; drops `dropped` of 65,536 values, scales the rest.

    The mask is a function of one number drawn from torch's generator, and is recomputed in the backward pass.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    y: Tensor = _Drop.apply(x, None, rectify, (seed, dropped, scale))  # type: ignore[no-untyped-call]
    return y


class _Drop(torch.autograd.Function):
    """Drops values by a seed, and those where `gate` (the input itself if `rectify`) is not positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor | None, rectify: bool, settings: tuple[int, int, float]) -> Tensor:
        y: Tensor = torch.ops.avhash_nas.drop(x, x if rectify else gate, *settings)
        ctx.settings = settings
        ctx.save_for_backward(y if rectify else gate)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (gate,) = ctx.saved_tensors
        return _Drop.apply(grad, gate, False, ctx.settings), None, None, None  # type: ignore[no-untyped-call]
