"""Registration and autograd of scans that are torch operators.

The operator `avhash_nas::NAME` takes x, delta, A, B, C and returns y; `avhash_nas::NAME_backward` takes the gradient of
y and the same inputs, and returns their gradients.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def register_scan(name: str, device: str) -> None:
    """Registers output shapes of both operators for torch.compile, and float32 under autocast on a device."""
    torch.library.register_fake(f"avhash_nas::{name}", lambda x, *_: _like(x))
    torch.library.register_fake(f"avhash_nas::{name}_backward", lambda _, *inputs: tuple(map(_like, inputs)))
    torch.library.register_autocast(f"avhash_nas::{name}", device, torch.float32)


def run_scan(name: str, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Runs an operator with autograd."""
    y: Tensor = _Scan.apply(name, x, delta, A, B, C)  # type: ignore[no-untyped-call]
    return y


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


class _Scan(torch.autograd.Function):
    """Not `torch.library.register_autograd`, which does not support torch.func's transforms."""

    @staticmethod
    def forward(name: str, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        y: Tensor = getattr(torch.ops.avhash_nas, name)(x, delta, A, B, C)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
        ctx.name, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        return None, *getattr(torch.ops.avhash_nas, f"{ctx.name}_backward")(grad_y, *ctx.saved_tensors)
