"""The selective scan of Mamba, with several backends."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor

from avhash_nas.errors import AvnasError
from avhash_nas.kernels.compiled import SWITCHED_OFF
from avhash_nas.kernels.first_order import SecondDerivativeError, first_order_only
from avhash_nas.kernels.scan_cuda import load_mamba, scan_cuda
from avhash_nas.kernels.scan_native import load_native, scan_native
from avhash_nas.kernels.scan_torch import scan_torch
from avhash_nas.kernels.scan_triton import interpreting, load_triton, scan_triton

__all__ = ["ScanBackend", "SecondDerivativeError", "scan_backend", "selective_scan"]

ScanBackend = Literal["auto", "torch", "native", "triton", "cuda"]
_SCANS: Mapping[str, Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    **{"torch": scan_torch, "native": scan_native, "triton": scan_triton, "cuda": scan_cuda},
}

_INSTALL = "install it with: pip install --no-build-isolation 'avhash-nas[cuda]'"


def selective_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    backend: ScanBackend = "auto",
) -> Tensor:
    """Runs h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t and y_t = C_t h_t + D x_t, with h_0 = 0.

    This is the scan of Mamba (Gu and Dao, 2023, Algorithm 2) with its discretization: A by zero-order hold, B by
    Euler's rule. It computes in float64 if an input is float64, else in float32, also under autocast and for
    half-precision inputs. It has a first derivative by all inputs; a second one raises an error.

    Args:
        x: Input, (B, T, E).
        delta: Step sizes, (B, T, E), positive: the caller applies softplus.
        A: State matrix, one diagonal per channel, (E, N); negative for decaying states.
        B: Input projections, (B, T, N).
        C: Output projections, (B, T, N).
        D: Weight of the input in the output, (E,), or None.
        backend: `torch` loops over time in PyTorch, on any device. `native` is this library's C++ operator for CPUs,
            compiled on first use. `cuda` is mamba-ssm's kernel, `triton` this library's kernels in Triton; both are for
            CUDA devices and not for float64. `auto` selects `native` on a CPU and `cuda`, else `triton`, on a CUDA
            device, if available. Otherwise, with a warning once, and in exported graphs, it is `torch`.

    Returns:
        The output, (B, T, E), in the type and on the device of `x`.

    Raises:
        AvnasError: Shapes or devices do not match, or the backend is unavailable.
        SecondDerivativeError: In a backward pass that differentiates the gradients of a scan.

    Example:
        With a step of 1, A = 0 and B = C = 1 the scan is a running sum.

        >>> import torch
        >>> one = torch.ones(1, 3, 1)
        >>> selective_scan(torch.tensor([[[1.0], [2.0], [3.0]]]), one, torch.zeros(1, 1), one, one).flatten()
        tensor([1., 3., 6.])
    """
    _check(x, delta, A, B, C, D)
    inputs = [tensor for tensor in (x, delta, A, B, C, D) if tensor is not None]
    wide = torch.float64 if any(tensor.dtype == torch.float64 for tensor in inputs) else torch.float32
    x_wide, *rest = first_order_only("selective_scan", *(tensor.to(wide) for tensor in inputs))
    chosen = "torch" if x.numel() == 0 else _choose(backend, x.device, wide)
    y = _SCANS[chosen](x_wide, *rest[:4])
    return (y if D is None else torch.addcmul(y, x_wide, rest[4])).to(x.dtype)


def scan_backend() -> str:
    """One line on what `backend="auto"` selects on this machine, and why; compiles the operator if necessary."""
    native, how = load_native()
    cpu = f"native ({how})" if native else f"torch ({how})"
    if not torch.cuda.is_available():
        return f"{cpu}; no CUDA device"
    function, reason = load_mamba()
    usable, version = load_triton()
    gpu = f"cuda ({reason})" if function is not None else f"triton ({version}; {reason}; {_INSTALL})"
    if function is None and not usable:
        gpu = f"torch ({version}; {reason}; {_INSTALL})"
    return f"{gpu} for CUDA tensors; {cpu} for others"


def _choose(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    """The backend to run; evaluated once by torch.compile, which does not trace it."""
    if backend not in get_args(ScanBackend):
        raise AvnasError(f"selective_scan: backend is {backend!r}, take one of {', '.join(get_args(ScanBackend))}")
    automatic = backend == "auto" and not torch.compiler.is_exporting()
    if backend == "native" or (automatic and device.type == "cpu"):
        return _native(backend, device)
    if backend in ("cuda", "triton"):
        return _for_cuda(backend, device, dtype)
    if automatic and device.type == "cuda" and dtype != torch.float64:
        return _fastest_for_cuda()
    return "torch"


# What torch.compiler.assume_constant_result sets; calling it would import torch._dynamo, which takes seconds.
_choose._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _native(backend: str, device: torch.device) -> str:
    if device.type != "cpu":
        raise AvnasError(f"selective_scan: backend 'native' needs tensors on the CPU, not on {device}")
    usable, reason = load_native()
    if usable:
        return "native"
    if backend == "native":
        raise AvnasError(f"selective_scan: backend 'native' is unavailable: {reason}; or use backend 'auto'")
    if reason != SWITCHED_OFF:
        _warn_once(f"on a CPU, where the compiled operator would be several times as fast: {reason}")
    return "torch"


def _for_cuda(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    """Checks that the requested backend, `cuda` or `triton`, is usable."""
    on_cpu = backend == "triton" and device.type == "cpu" and interpreting()
    if (device.type != "cuda" and not on_cpu) or dtype == torch.float64:
        raise AvnasError(
            f"selective_scan: backend {backend!r} needs tensors on a CUDA device, not float64, and got {dtype} on "
            f"{device}: move or convert them, or use backend 'auto'"
        )
    if backend == "triton":
        usable, reason = load_triton()
        if not usable:
            raise AvnasError(f"selective_scan: backend 'triton' is unavailable: {reason}; or use backend 'auto'")
        return "triton"
    function, reason = load_mamba()
    if function is None:
        raise AvnasError(f"selective_scan: backend 'cuda' needs mamba-ssm: {reason}; {_INSTALL}, or use backend 'auto'")
    return "cuda"


def _fastest_for_cuda() -> str:
    function, no_mamba = load_mamba()
    if function is not None:
        return "cuda"
    usable, no_triton = load_triton()
    if usable:
        return "triton"
    _warn_once(f"on a CUDA tensor, which is slow: {no_triton}; {no_mamba}; {_INSTALL}")
    return "torch"


@cache
def _warn_once(reason: str) -> None:
    warnings.warn(f"selective_scan loops over time in PyTorch {reason}", stacklevel=5)


def _check(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None) -> None:
    """Raises AvnasError unless shapes and devices match."""
    if x.ndim != 3 or A.ndim != 2:
        raise AvnasError(f"selective_scan: x must be (B, T, E) and A (E, N), not {tuple(x.shape)} and {tuple(A.shape)}")
    (batch, steps, width), states = x.shape, A.shape[1]
    expected = {"delta": (delta, (batch, steps, width)), "A": (A, (width, states)), "B": (B, (batch, steps, states))}
    expected["C"] = (C, (batch, steps, states))
    if D is not None:
        expected["D"] = (D, (width,))
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise AvnasError(f"selective_scan: {name} is {tuple(tensor.shape)}, to match x and A it must be {shape}")
        if tensor.device != x.device:
            raise AvnasError(
                f"selective_scan: {name} is on {tensor.device} and x on {x.device}: move them to one device"
            )
