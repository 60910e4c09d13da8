"""Selective scan by a C++ operator for CPUs, `torch.ops.avhash_nas.selective_scan`, compiled on first use.

The operator walks time once per video and channel with the states in vector registers, limited by the throughput of
exp. The backward pass needs only the inputs, whatever N and T are. See `avhash_nas.kernels.compiled` for the library.
"""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from avhash_nas.kernels.compiled import CompileError, compile_library
from avhash_nas.kernels.scan_operator import register_scan, run_scan

_SOURCE = Path(__file__).with_suffix(".cpp")
_NAME = "selective_scan"
_WIDE = 16
"""Width of the operator's vectors of states."""


@cache
def load_native() -> tuple[bool, str]:
    """Compiles or loads the operator, once per process: whether it is usable, and the compiler or the reason."""
    try:
        library, compiler = compile_library(_SOURCE, "selective scan", with_torch=True)
        torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except CompileError as error:
        return False, str(error)
    except OSError as error:
        return False, str(error.__cause__ or error)  # torch hides the linker's message
    register_scan(_NAME, "cpu")
    return True, f"compiled by {compiler}"


def scan_native(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The scan without its `D * x` term on the CPU, all float32 or all float64; requires `load_native`."""
    if missing := -A.shape[1] % _WIDE:  # padded states stay 0
        A, B, C = (pad(tensor, (0, missing)) for tensor in (A, B, C))
    return run_scan(_NAME, x, delta, A, B, C)
