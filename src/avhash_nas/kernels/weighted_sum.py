"""The weighted sum of candidates' outputs (Eq. 39) without tensors in between."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def weighted_sum(weights: Sequence[Tensor], terms: Sequence[Tensor], start: Tensor | None = None) -> Tensor:
    """Computes start + sum_k weights[k] * terms[k].

    Under autograd, plain products and sums take five more passes over memory for each term than this does.

    Args:
        weights: n scalars.
        terms: n tensors of one shape.
        start: One more of that shape; needed where n is 0.

    Returns:
        The sum, of the widest type among the terms.
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
        weights, terms = halves(scalars_and_terms)
        wide = reduce(torch.promote_types, (term.dtype for term in (*terms, *([] if start is None else [start]))))
        first = weights[0].to(wide), terms[0].to(wide)
        total = first[0] * first[1] if start is None else torch.addcmul(start.to(wide), *first)
        for weight, term in zip(weights[1:], terms[1:], strict=True):
            total.addcmul_(term.to(wide), weight.to(wide))
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        start, *scalars_and_terms = inputs
        ctx.start = None if start is None else start.dtype
        ctx.save_for_backward(*scalars_and_terms)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weights, terms = halves(ctx.saved_tensors)
        wanted_weights, wanted_terms = halves(ctx.needs_input_grad[1:])
        flat = grad.flatten()
        by_weights = [
            torch.dot(flat, term.to(grad.dtype).flatten()).to(weight.dtype) if wanted else None
            for weight, term, wanted in zip(weights, terms, wanted_weights, strict=True)
        ]
        by_terms = [
            (grad * weight.to(grad.dtype)).to(term.dtype) if wanted else None
            for weight, term, wanted in zip(weights, terms, wanted_terms, strict=True)
        ]
        return None if ctx.start is None else grad.to(ctx.start), *by_weights, *by_terms


def halves(values: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """The first and the second half of what a function takes, such as weights and as many terms."""
    middle = len(values) // 2
    return values[:middle], values[middle:]
