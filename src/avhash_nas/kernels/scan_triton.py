"""Selective scan by Triton kernels, `torch.ops.avhash_nas.selective_scan_triton`, for CUDA devices.

The backward pass needs only the inputs, whatever N and T are: it recomputes states in a workspace of fixed size, for as
many videos at a time as fit. PyTorch for CUDA includes triton. If `TRITON_INTERPRET=1` is set before triton is
imported, its interpreter runs the kernels on CPU tensors, slowly, as the tests do.
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
"""Channels of a program: one per thread of a warp."""
_STATES_OF_WARP = 16
_SEGMENT = 64
"""Time steps between the states stored by a backward pass."""
_WORK_SPACE = 2**24
"""Elements of the backward pass's workspace, 64 MiB; a single video may need more."""
_NAME = "selective_scan_triton"


@cache
def load_triton() -> tuple[bool, str]:
    """Imports triton, registers and test-compiles the operator, once per process.

    Returns:
        Whether the operator is usable, and triton's version or the reason.
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
    """Whether triton's interpreter runs the kernels on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def scan_triton(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The scan without its `D * x` term on a CUDA device, not float64; requires `load_triton`."""
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
        inputs = [tensor[now] for tensor in (grad_y, x, delta, B, C)]
        count = len(inputs[0])
        a_parts = x.new_empty((count, *a.shape), dtype=torch.float32)
        control_parts = x.new_empty((2, blocks, count, steps, states), dtype=torch.float32)
        with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
            backward[count, blocks](
                *(*inputs[:3], a, *inputs[3:], starts, history, grad_x[now], grad_delta[now], a_parts, *control_parts),
                *(steps, width, states, segment, segments),
                **tile,
            )
        grad_a += a_parts.sum(0)
        grad_B[now], grad_C[now] = control_parts.sum(1)
    return grad_x, grad_delta, grad_a.t().contiguous().to(A.dtype), grad_B, grad_C


def _blocks(width: int) -> int:
    return -(-width // _CHANNELS)


def _tile(states: int) -> dict[str, int]:
    """Sizes of a program. Loads are not pipelined, as the kernels load what they have stored."""
    padded = 1 << max(0, states - 1).bit_length()
    return {
        **{"BLOCK_N": padded, "BLOCK_E": _CHANNELS},
        **{"num_warps": max(1, padded // _STATES_OF_WARP), "num_stages": 1},
    }


def _register() -> None:
    """Registers the operators."""
    operators: dict[str, Callable[..., Any]] = {_NAME: _forward, f"{_NAME}_backward": _backward}
    for name, function in operators.items():
        torch.library.custom_op(f"avhash_nas::{name}", function, mutates_args=())
    register_scan(_NAME, "cuda")
