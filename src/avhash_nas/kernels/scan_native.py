"""Selective scan by a C++ operator for CPUs, `torch.ops.avhash_nas.selective_scan`, compiled when first needed.

The operator walks time once for each video and channel with the states in vector registers. Its limit is the
processor's rate of exp; it keeps nothing for the backward pass but its inputs, whatever N and T are.
`avhash_nas.kernels.compiled` says where the library is kept and how it is left out.
"""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from avhash_nas.kernels.compiled import CompileError, compiled
from avhash_nas.kernels.scan_operator import register_scan, run_scan

_SOURCE = Path(__file__).with_suffix(".cpp")
_NAME = "selective_scan"
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
    register_scan(_NAME, "cpu")
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
    return run_scan(_NAME, x, delta, A, B, C)
