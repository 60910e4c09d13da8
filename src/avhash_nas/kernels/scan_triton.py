"""Selective scan by Triton kernels, `torch.ops.avhash_nas.selective_scan_triton`, for CUDA devices.

Nothing is kept for the backward pass but the inputs, whatever N and T are: it walks forward again into a work space of
a fixed size, for as many videos at a time as fit. PyTorch for CUDA brings triton along. Where `TRITON_INTERPRET=1` is
set before triton is imported, its interpreter runs the kernels on tensors of a CPU, slowly; tests do that.
"""

import importlib
import os
import subprocess
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from avhash_nas.kernels.scan_operator import register_scan, run_scan

_CHANNELS = 32
"""Of a program: the threads of a warp."""
_STATES_OF_WARP = 16
_SEGMENT = 64
"""Time steps between the states that a backward pass starts from when it walks a segment back."""
_WORK_SPACE = 2**24
"""Elements of a backward pass's work space, 64 MiB; a single video may need more."""
_NAME = "selective_scan_triton"


@cache
def load_triton() -> tuple[bool, str]:
    """Imports triton, registers the operator and compiles it for a scan of one number, once per process.

    Returns:
        Whether the operator can be used, and triton's version or the reason why not.
    """
    try:
        triton = importlib.import_module("triton")
    except (ImportError, OSError, RuntimeError) as error:
        return False, f"triton cannot be imported ({error})"
    _register()
    if torch.cuda.is_available():
        one = torch.ones(1, 1, 1, device="cuda")
        try:
            torch.ops.avhash_nas.selective_scan_triton(one, one, one[0], one, one)
        except (RuntimeError, OSError, subprocess.SubprocessError, triton.TritonError) as error:
            reason = str(error).strip().partition("\n")[0]
            return False, f"triton {triton.__version__} cannot compile the scan here ({reason})"
    return True, f"triton {triton.__version__}"


def interpreting() -> bool:
    """Whether triton was asked to run kernels on the CPU, by its interpreter."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def scan_triton(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The scan without its `D * x` term; `load_triton` must have been successful.

    Args:
        x: Input, (B, T, E), on a CUDA device; all tensors are of one floating-point type, not float64.
        delta: Step sizes, (B, T, E).
        A: State matrix, (E, N).
        B: Input projections, (B, T, N).
        C: Output projections, (B, T, N).

    Returns:
        The output, (B, T, E).
    """
    return run_scan(_NAME, x, delta, A, B, C)


def _forward(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    from avhash_nas.kernels.scan_triton_kernels import forward

    (videos, steps, width), states = x.shape, A.shape[1]
    x, delta, B, C = (tensor.contiguous() for tensor in (x, delta, B, C))
    y = torch.empty_like(x)
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        forward[videos, _blocks(width)](x, delta, A.t().contiguous(), B, C, y, steps, width, states, **_tile(states))
    return y


def _backward(
    grad_y: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    from avhash_nas.kernels.scan_triton_kernels import backward

    (videos, steps, width), states = x.shape, A.shape[1]
    grad_y, x, delta, B, C = (tensor.contiguous() for tensor in (grad_y, x, delta, B, C))
    a, blocks, tile = A.t().contiguous(), _blocks(width), _tile(states)
    segment = min(steps, _SEGMENT)
    segments = -(-steps // segment)
    room = (blocks, segments + segment, tile["BLOCK_N"], _CHANNELS)
    at_once = min(videos, max(1, _WORK_SPACE // torch.Size(room).numel()))
    starts = x.new_empty((at_once, blocks, segments, *room[2:]), dtype=torch.float32)
    history = x.new_empty((at_once, blocks, segment, *room[2:]), dtype=torch.float32)
    grad_x, grad_delta, grad_B, grad_C = (torch.empty_like(tensor) for tensor in (x, delta, B, C))
    grad_a = torch.zeros_like(a, dtype=torch.float32)
    for part in range(0, videos, at_once):
        now = slice(part, part + at_once)
        given = [tensor[now] for tensor in (grad_y, x, delta, B, C)]
        count = len(given[0])
        a_parts = x.new_empty((count, *a.shape), dtype=torch.float32)
        control_parts = x.new_empty((2, blocks, count, steps, states), dtype=torch.float32)
        with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
            backward[count, blocks](
                *(*given[:3], a, *given[3:], starts, history, grad_x[now], grad_delta[now], a_parts, *control_parts),
                *(steps, width, states, segment, segments),
                **tile,
            )
        grad_a += a_parts.sum(0)
        grad_B[now], grad_C[now] = control_parts.sum(1)
    return grad_x, grad_delta, grad_a.t().contiguous().to(A.dtype), grad_B, grad_C


def _blocks(width: int) -> int:
    return -(-width // _CHANNELS)


def _tile(states: int) -> dict[str, int]:
    """Sizes of a program. Loads are not pipelined: what the kernels store they load again."""
    padded = 1 << max(0, states - 1).bit_length()
    return {
        **{"BLOCK_N": padded, "BLOCK_E": _CHANNELS},
        **{"num_warps": max(1, padded // _STATES_OF_WARP), "num_stages": 1},
    }


def _register() -> None:
    """Makes the operators."""
    operators: dict[str, Callable[..., Any]] = {_NAME: _forward, f"{_NAME}_backward": _backward}
    for name, function in operators.items():
        torch.library.custom_op(f"avhash_nas::{name}", function, mutates_args=())
    register_scan(_NAME, "cuda")
