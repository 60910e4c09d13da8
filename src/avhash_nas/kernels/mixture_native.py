"""A mixture's sum and dropout as C++ operators for CPUs, compiled when first needed: one pass over memory each.

`avhash_nas.kernels.compiled` says where the library is kept and how it is left out.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avhash_nas.kernels.compiled import compiled, loaded
from avhash_nas.kernels.filters import Filter
from avhash_nas.kernels.mixture_torch import mixture_torch

_SOURCE = Path(__file__).with_suffix(".cpp")
_TYPES = (torch.float32, torch.float64)


def fits(*tensors: Tensor) -> bool:
    """Whether the operators can take some tensors: on the CPU, of one type, float32 or float64, none of them empty."""
    kind = tensors[0].dtype
    if kind not in _TYPES or torch.compiler.is_compiling():
        return False
    return all(each.is_cpu and each.dtype == kind and each.numel() for each in tensors) and _load()


@cache
def _load() -> bool:
    """Compiles the library if the cache has none, once per process; where it cannot be had, a warning says so."""

    def load() -> bool:
        torch.ops.load_library(compiled(_SOURCE, "small operators", with_torch=True)[0])  # type: ignore[no-untyped-call]
        return True

    return bool(loaded(load, "mixtures and dropout run in PyTorch on the CPU, as their operators cannot be had"))


def mixture_native(
    x: Tensor | None,
    filter_weights: Sequence[Tensor],
    filters: Sequence[Filter],
    weights: Sequence[Tensor],
    terms: Sequence[Tensor],
) -> Tensor:
    """`avhash_nas.kernels.mixture` where everything `fits`."""
    taps, biases = zip(*filters, strict=True) if filters else ((), ())
    sizes = len(filters), len(terms)
    y: Tensor = _Mixture.apply(sizes, x, *filter_weights, *taps, *biases, *weights, *terms)  # type: ignore[no-untyped-call]
    return y


def _parts(sizes: tuple[int, int], flat: Sequence[Any]) -> tuple[Sequence[Any], ...]:
    """Weights, taps and biases of the filters, weights and terms, out of one sequence."""
    filters, terms = sizes
    ends = [filters, 2 * filters, 3 * filters, 3 * filters + terms, 3 * filters + 2 * terms]
    return tuple(flat[start:end] for start, end in zip([0, *ends], ends))


class _Mixture(torch.autograd.Function):
    """With `ctx` in `forward`: `setup_context` would cost more than the operator on a small batch."""

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
        _, x_wanted, *flat_wanted = ctx.needs_input_grad
        if torch.is_grad_enabled():
            return None, *_differentiable(grad, x, flat, ctx.sizes, [x_wanted, *flat_wanted])
        terms_wanted = [int(wanted) for wanted in _parts(ctx.sizes, flat_wanted)[-1]]
        grad_x, by_taps, by_biases, by_filter_weights, by_terms, by_weights = torch.ops.avhash_nas.mixture_backward(
            *(grad, x, taps, _filled(biases, taps), filter_weights, terms, weights, x_wanted, terms_wanted)
        )
        found = chain(by_filter_weights.unbind(), by_taps, by_biases, by_weights.unbind(), by_terms)
        return None, *(one if wanted else None for one, wanted in zip([grad_x, *found], [x_wanted, *flat_wanted]))


def _filled(biases: Sequence[Tensor | None], taps: Sequence[Tensor]) -> list[Tensor]:
    """The operator's biases: an empty one stands for none."""
    return [each.new_empty(0) if bias is None else bias for bias, each in zip(biases, taps, strict=True)]


def _differentiable(
    grad: Tensor, x: Tensor | None, flat: Sequence[Tensor | None], sizes: tuple[int, int], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients as functions that can be differentiated again."""
    x, *flat = (each if each is None else each.view_as(each) for each in (x, *flat))  # terms may depend on x: cut that
    filter_weights, taps, biases, weights, terms = _parts(sizes, flat)
    y = mixture_torch(x, filter_weights, [*map(Filter, taps, biases)], weights, terms)
    inputs = [each for each, wants in zip((x, *flat), wanted, strict=True) if wants and each is not None]
    found = iter(torch.autograd.grad(y, inputs, grad, create_graph=True))
    return [next(found) if wants else None for wants in wanted]


def dropout_native(x: Tensor, dropped: int, scale: float, *, rectify: bool) -> Tensor:
    """`avhash_nas.kernels.dropout` of a tensor that `fits`.

    The seed is one number of torch's generator; the mask follows from it, and is made again where it is needed again.

    Args:
        x: Any shape.
        dropped: How many of 65,536 values are dropped.
        scale: What is kept is multiplied by it.
        rectify: Whether ReLU comes first.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    y: Tensor = _Drop.apply(x, None, rectify, (seed, dropped, scale))  # type: ignore[no-untyped-call]
    return y


class _Drop(torch.autograd.Function):
    """Keeps and scales the values that a seed says, of those alone where `gate` is positive, or the input itself."""

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
