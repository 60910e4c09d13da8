"""A guard for functions that have a first derivative and no second one."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from avhash_nas.errors import AvnasError


class SecondDerivativeError(AvnasError, RuntimeError):
    """A second derivative was asked of a function that only has a first one."""


class _Refuse(torch.autograd.Function):
    """Identity on `gradients`, tied to `inputs` so that differentiating it always comes here, and raises."""

    @staticmethod
    def forward(name: str, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG004
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ARG004
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
    def forward(name: str, *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG004
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ARG004
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
    """Returns the tensors unchanged; whoever differentiates their gradients once more gets an error.

    `torch.autograd.function.once_differentiable` is not enough for that: where the incoming gradient is a constant,
    as it is below a plain sum, it hands back gradients that look like constants, and the missing second derivative
    counts as zero. `create_graph=True` alone stays allowed, because the error comes when the first derivative is
    differentiated. Compiled graphs refuse second derivatives by themselves, so it is left out of them.

    Args:
        name: The function, as the error names it.
        tensors: Inputs of the function.

    Raises:
        SecondDerivativeError: In the backward pass, when a gradient that went through here is itself differentiated.
    """
    if torch.compiler.is_compiling():
        return tensors
    return tuple(_FirstOrderOnly.apply(name, *tensors))  # type: ignore[no-untyped-call]
