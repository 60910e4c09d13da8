"""Selective scan by a C++ operator for CPUs, `torch.ops.avhash_nas.selective_scan`, compiled when first needed.

The operator walks time once for each video and channel with the states in vector registers. Its limit is the
processor's rate of exp; it keeps nothing for the backward pass but its inputs, whatever N and T are.

The library lies in the cache folder (`AVNAS_NATIVE_DIR`, else `$XDG_CACHE_HOME/avhash-nas`, else
`~/.cache/avhash-nas`), under a name that tells source, compiler, processor and torch apart. `AVNAS_NATIVE=0` leaves it
out.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from avhash_nas.cache import default_cache_dir, locked_if_possible

_SOURCE = Path(__file__).with_suffix(".cpp")
_FLAGS = (
    *("-O3", "-march=native", "-mprefer-vector-width=512", "-std=c++20", "-fPIC", "-fopenmp"),
    *("-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"),
)
_WIDE = 16
"""The operator takes states in vectors of this many."""
SWITCHED_OFF = "AVNAS_NATIVE=0"
"""The reason that `load_native` gives where a user wants no operator."""


class _CompileError(Exception):
    """The library cannot be had; the message says why."""


@cache
def load_native() -> tuple[bool, str]:
    """Compiles the operator if the cache has none and registers it, once per process.

    Returns:
        Whether it can be used, and how it was made or the reason why not.
    """
    if os.environ.get("AVNAS_NATIVE") == "0":
        return False, SWITCHED_OFF
    try:
        library, compiler = _library()
        torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except _CompileError as error:
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


def _library() -> tuple[Path, str]:
    """The compiled library, and the compiler's name and version."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise _CompileError("no C++ compiler found; install g++ or set CXX")
    version = _run([compiler, "--version"]).partition("\n")[0]
    made_of = [_SOURCE.read_text(encoding="utf-8"), version, torch.__version__, sys.version, _processor(), *_FLAGS]
    name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:24]
    library = _folder() / f"selective-scan-{name}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with locked_if_possible(library.with_suffix(".lock")):
            if not library.exists():
                _compile(compiler, library)
    return library, version


def _compile(compiler: str, library: Path) -> None:
    """Compiles to another name, then renames. OpenMP's functions are those that torch has loaded already."""
    from torch.utils.cpp_extension import include_paths, library_paths  # brings setuptools

    print("avhash-nas: compiling the selective scan for this processor, once", file=sys.stderr, flush=True)
    partial = library.with_name(f"{library.name}.{os.getpid()}.partial")
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    includes = [f"-I{path}" for path in include_paths()]
    compiled = partial.with_suffix(".o")
    try:
        _run([compiler, *_FLAGS, abi, *includes, "-c", str(_SOURCE), "-o", str(compiled)])
        folders = [f"-L{path}" for path in library_paths()]
        _run([compiler, "-shared", str(compiled), *folders, "-ltorch_cpu", "-lc10", "-o", str(partial)])
        partial.replace(library)
    finally:
        compiled.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "error" in line] or error.stderr.splitlines() or [""]
        raise _CompileError(f"{command[0]} failed: {lines[0].strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _CompileError(f"{command[0]} cannot be run: {error}") from error


def _folder() -> Path:
    own = os.environ.get("AVNAS_NATIVE_DIR")
    return Path(own) if own else default_cache_dir()


def _processor() -> str:
    """What `-march=native` depends on: nodes of a cluster may share a home and differ in this."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    features = [line for line in lines if line.lower().startswith(("flags", "features"))]
    return platform.machine() + (features[0] if features else platform.processor())


def _register() -> None:
    """Shapes for compilers, and float32 under autocast."""
    name = "avhash_nas::selective_scan"
    torch.library.register_fake(name, lambda x, *_: torch.empty_like(x, memory_format=torch.contiguous_format))
    torch.library.register_fake(f"{name}_backward", lambda _, *inputs: tuple(map(torch.empty_like, inputs)))
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
