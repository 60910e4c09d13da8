"""Selective scan by mamba-ssm's CUDA kernel; the package is imported on first use."""

import importlib
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

ScanFunction = Callable[..., Tensor]


@cache
def load_mamba() -> tuple[ScanFunction | None, str]:
    """Imports mamba-ssm's kernel, once per process: its function and version, or None and the reason."""
    try:
        interface = importlib.import_module("mamba_ssm.ops.selective_scan_interface")
        importlib.import_module("selective_scan_cuda")
    except (ImportError, AssertionError, OSError) as error:  # a build without its CUDA part fails in any of these ways
        return None, f"mamba-ssm cannot be imported ({error})"
    function: ScanFunction = interface.selective_scan_fn
    return function, f"mamba-ssm {importlib.import_module('mamba_ssm').__version__}"


def scan_cuda(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The scan without its `D * x` term, all float32, by a kernel that takes time last; requires `load_mamba`."""
    scan = load_mamba()[0]
    assert scan is not None, "mamba-ssm is missing"
    time_last = [tensor.transpose(1, 2).contiguous() for tensor in (x, delta, B, C)]
    with torch.autocast("cuda", enabled=False):
        return scan(time_last[0], time_last[1], A.contiguous(), time_last[2], time_last[3]).transpose(1, 2)
