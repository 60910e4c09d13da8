"""A guard for functions without a second derivative."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from avhash_nas.errors import AvnasError


class SecondDerivativeError(AvnasError, RuntimeError):
    """A function without a second derivative was differentiated twice."""


class _Refuse(torch.autograd.Function):
    """Identity on the first `count` tensors, connected to all, so that differentiating it always raises."""

    @staticmethod
    def forward(_: str, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: tuple[Tensor, ...]) -> None:
        ctx.name = inputs[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise SecondDerivativeError(
            f"{ctx.name} has no second derivative: take finite differences of first derivatives instead "
            "(second-order DARTS does), or leave the operators that use it out of the search space"
        )


class _FirstOrderOnly(torch.autograd.Function):
    """Identity on all tensors; the gradients that pass through it cannot be differentiated again."""

    @staticmethod
    def forward(_: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: tuple[Tensor, ...]) -> None:
        name, *tensors = inputs
        ctx.name = name
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        if not torch.is_grad_enabled():
            return None, *gradients
        present = [gradient for gradient in gradients if gradient is not None]
        tied = iter(_Refuse.apply(ctx.name, len(present), *present, *ctx.saved_tensors))  # type: ignore[no-untyped-call]
        return None, *(None if gradient is None else next(tied) for gradient in gradients)


def first_order_only(name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Returns the tensors unchanged; differentiating their gradients again raises SecondDerivativeError with the name.

    `torch.autograd.function.once_differentiable` is not enough: if the incoming gradient is constant, as below a plain
    sum, its gradients look constant too, and the missing second derivative silently counts as zero. `create_graph=True`
    alone remains allowed. Compiled graphs reject second derivatives by themselves and skip the guard.
    """
    if torch.compiler.is_compiling():
        return tensors
    return tuple(_FirstOrderOnly.apply(name, *tensors))  # type: ignore[no-untyped-call]
