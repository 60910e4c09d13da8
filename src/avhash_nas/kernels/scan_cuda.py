"""Selective scan by mamba-ssm's CUDA kernel; the package is imported when a scan first asks for it."""

import importlib
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

ScanFunction = Callable[..., Tensor]


@cache
def load_mamba() -> tuple[ScanFunction | None, str]:
    """Looks for mamba-ssm's kernel, once per process.

    Returns:
        Its function and the installed version, or None and the reason why it cannot be used.
    """
    try:
        interface = importlib.import_module("mamba_ssm.ops.selective_scan_interface")
        importlib.import_module("selective_scan_cuda")
    except (ImportError, AssertionError, OSError) as error:  # a build without its CUDA part fails in any of these ways
        return None, f"mamba-ssm cannot be imported ({error})"
    function: ScanFunction = interface.selective_scan_fn
    return function, f"mamba-ssm {importlib.import_module('mamba_ssm').__version__}"


def scan_cuda(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Calls the kernel, which wants time last: (B, E, T) and (B, N, T), all in float32.

    `load_mamba` must have been successful.

    Args:
        x: Input, (B, T, E).
        delta: Step sizes, (B, T, E).
        A: State matrix, (E, N).
        B: Input projections, (B, T, N).
        C: Output projections, (B, T, N).
    """
    scan = load_mamba()[0]
    assert scan is not None, "mamba-ssm is missing"
    time_last = [tensor.transpose(1, 2).contiguous() for tensor in (x, delta, B, C)]
    with torch.autocast("cuda", enabled=False):
        return scan(time_last[0], time_last[1], A.contiguous(), time_last[2], time_last[3]).transpose(1, 2)
