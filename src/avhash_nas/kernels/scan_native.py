"""Selective scan by a C++ operator for CPUs, `torch.ops.avhash_nas.selective_scan`, compiled when first needed.

The operator walks time once for each video and channel with the states in vector registers. Its limit is the
processor's rate of exp; it keeps nothing for the backward pass but its inputs, whatever N and T are.
`avhash_nas.kernels.compiled` says where the library is kept and how it is left out.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from avhash_nas.kernels.compiled import CompileError, compiled

_SOURCE = Path(__file__).with_suffix(".cpp")
_WIDE = 16
"""The operator takes states in vectors of this many."""


@cache
def load_native() -> tuple[bool, str]:
    """Compiles the operator if the cache has none and registers it, once per process.

    Returns:
        Whether it can be used, and how it was made or the reason why not.
    """
    try:
        library, compiler = compiled(_SOURCE, "selective scan", with_torch=True)
        torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except CompileError as error:
        return False, str(error)
    except OSError as error:
        return False, str(error.__cause__ or error)  # torch hides the linker's words
    _register()
    return True, f"compiled by {compiler}"


def scan_native(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The scan without its `D * x` term; `load_native` must have been successful.

    Args:
        x: Input, (B, T, E), on the CPU; all tensors are float32, or all float64.
        delta: Step sizes, (B, T, E).
        A: State matrix, (E, N).
        B: Input projections, (B, T, N).
        C: Output projections, (B, T, N).

    Returns:
        The output, (B, T, E).
    """
    if missing := -A.shape[1] % _WIDE:  # states that start at 0 and get nothing stay 0
        A, B, C = (pad(tensor, (0, missing)) for tensor in (A, B, C))
    y: Tensor = _NativeScan.apply(x, delta, A, B, C)  # type: ignore[no-untyped-call]
    return y


def _register() -> None:
    """Shapes for compilers, and float32 under autocast."""
    name = "avhash_nas::selective_scan"
    torch.library.register_fake(name, lambda x, *_: torch.empty_like(x, memory_format=torch.contiguous_format))
    torch.library.register_fake(
        f"{name}_backward",
        lambda _, *inputs: tuple(torch.empty_like(x, memory_format=torch.contiguous_format) for x in inputs),
    )
    torch.library.register_autocast(name, "cpu", torch.float32)


class _NativeScan(torch.autograd.Function):
    """The operator with its gradients; `torch.library.register_autograd` would shut out torch.func's transforms."""

    @staticmethod
    def forward(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        y: Tensor = torch.ops.avhash_nas.selective_scan(x, delta, A, B, C)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor, ...]:
        gradients: tuple[Tensor, ...] = torch.ops.avhash_nas.selective_scan_backward(grad_y, *ctx.saved_tensors)
        return gradients
