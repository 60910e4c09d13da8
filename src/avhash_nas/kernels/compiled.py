"""C++ libraries, compiled for this processor on first use and cached.

The cache folder is `AVNAS_NATIVE_DIR`, else `$XDG_CACHE_HOME/avhash-nas`, else `~/.cache/avhash-nas`; file names depend
on source, compiler, processor and torch version. `AVNAS_NATIVE=0` disables the libraries.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from avhash_nas.cache import default_cache_dir, locked_if_possible

_FLAGS = (
    *("-O3", "-march=native", "-mprefer-vector-width=512", "-std=c++20", "-fPIC", "-fopenmp"),
    *("-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"),
)
T = TypeVar("T")
SWITCHED_OFF = "AVNAS_NATIVE=0"
"""Message of the CompileError if the libraries are disabled."""


class CompileError(Exception):
    """The library is unavailable; the message says why."""


def compile_library(source: Path, name: str, *, with_torch: bool) -> tuple[Path, str]:
    """Finds a library in the cache folder, or compiles it.

    Args:
        source: The C++ file.
        name: Short name for messages and the file name.
        with_torch: Whether it uses torch's headers and libraries.

    Returns:
        The library, and the compiler's name and version.

    Raises:
        CompileError: There is no compiler, it fails, or the libraries are disabled.
        OSError: The cache folder is not writable.
    """
    if os.environ.get("AVNAS_NATIVE") == "0":
        raise CompileError(SWITCHED_OFF)
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise CompileError("no C++ compiler found; install g++ or set CXX")
    version = _run([compiler, "--version"]).partition("\n")[0]
    key = [source.read_text(encoding="utf-8"), version, sys.version, _processor(), *_FLAGS]
    if with_torch:
        import torch

        key.append(torch.__version__)
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:24]
    override = os.environ.get("AVNAS_NATIVE_DIR")
    folder = Path(override) if override else default_cache_dir()
    library = folder / f"{name.replace(' ', '-')}-{digest}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with locked_if_possible(library.with_suffix(".lock")):
            if not library.exists():
                print(f"avhash-nas: compiling the {name} for this processor, once", file=sys.stderr, flush=True)
                _compile(compiler, source, library, with_torch)
    return library, version


def load_or_warn(load: Callable[[], T], fallback: str) -> T | None:
    """Loads a library, or returns None with a warning, which is silent if the libraries are disabled.

    Args:
        load: Compiles and loads the library.
        fallback: Describes what happens without it.
    """
    try:
        return load()
    except (CompileError, OSError) as error:
        if str(error) != SWITCHED_OFF:
            warnings.warn(f"{fallback}: {error}", stacklevel=4)
        return None


def _compile(compiler: str, source: Path, library: Path, with_torch: bool) -> None:
    """Compiles to a temporary name, then renames. OpenMP's functions resolve to those that torch has loaded."""
    partial = library.with_name(f"{library.name}.{os.getpid()}.partial")
    includes, links = _torch_options() if with_torch else ([], [])
    objects = partial.with_suffix(".o")
    try:
        _run([compiler, *_FLAGS, *includes, "-c", str(source), "-o", str(objects)])
        _run([compiler, "-shared", str(objects), *links, "-o", str(partial)])
        partial.replace(library)
    finally:
        objects.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)


def _torch_options() -> tuple[list[str], list[str]]:
    """Options of the compiler and the linker to use torch."""
    import torch
    from torch.utils.cpp_extension import include_paths, library_paths  # imports setuptools

    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    includes = [f"-I{path}" for path in include_paths()]
    return [abi, *includes], [*(f"-L{path}" for path in library_paths()), "-ltorch_cpu", "-lc10"]


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "error" in line] or error.stderr.splitlines() or [""]
        raise CompileError(f"{command[0]} failed: {lines[0].strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompileError(f"{command[0]} cannot be run: {error}") from error


def _processor() -> str:
    """What `-march=native` depends on: nodes of a cluster may share a home folder but not the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    features = [line for line in lines if line.lower().startswith(("flags", "features"))]
    return platform.machine() + (features[0] if features else platform.processor())
