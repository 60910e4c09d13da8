"""What all benchmarks share: how time is taken, the machine's own limits, and where results go.

A benchmark is a file of this folder that can be run; it parses its options with `parse` and ends with `write_json`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]


def parse(parser: argparse.ArgumentParser, **quick: Any) -> argparse.Namespace:
    """Parses the command line, with the options that every benchmark has.

    Starts the program again with OMP_NUM_THREADS=1 where that is not set, as the libraries read it when they are
    loaded: threads that wait for each other would count as CPU time.

    Args:
        parser: With the benchmark's own options.
        **quick: What `--quick` takes in place of their defaults. With it each benchmark should take a minute or two.
    """
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench", help="folder for the results, NAME.json")
    told = " ".join(f"--{name} {value}" for name, value in quick.items()).translate(str.maketrans("", "", "[],"))
    parser.add_argument("--quick", action="store_true", help=f"the settings of `make bench`: {told or 'these'}")
    if "--quick" in sys.argv[1:]:
        parser.set_defaults(**quick)
    options = parser.parse_args()
    if "OMP_NUM_THREADS" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    return options


def median_seconds(
    function: Callable[[], object], repeats: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Median time of a call, after one more to warm up.

    Args:
        function: What is timed.
        repeats: Calls that count, at least 1.
        clock: By default the CPU time of this process, which other processes disturb less than the time of day; it adds
            up over threads.
    """
    taken = []
    for _ in range(repeats + 1):
        start = clock()
        function()
        taken.append(clock() - start)
    return statistics.median(taken[1:])


def gemm_rate(size: int = 1024, repeats: int = 15) -> float:
    """GFLOP/s of one thread in products of square float32 matrices, a multiplication and an addition counting two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b, c = (torch.rand(size, size) for _ in range(3))
    seconds = median_seconds(lambda: torch.mm(a, b, out=c), repeats, time.thread_time)
    torch.set_num_threads(threads)
    return 2 * size**3 / seconds / 1e9


def memory_bandwidth(size: int = 2**29, repeats: int = 7) -> float:
    """GB/s of one thread copying what no cache holds; bytes read and bytes written both count.

    Args:
        size: Bytes of each of the two arrays.
        repeats: The median of so many is told.
    """
    source, target = np.ones(size // 8), np.zeros(size // 8)
    return 2 * size / median_seconds(lambda: np.copyto(target, source), repeats, time.thread_time) / 1e9


def machine() -> dict[str, Any]:
    """What the figures were measured on, and at which commit (with "-dirty" where files differ from it)."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
        commit = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return {
        "cpu": _processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "commit": commit,
    }


def limits() -> dict[str, float]:
    """The machine's own limits, measured now: "gemm_gflops" and "memory_gb_per_second" of one thread."""
    return {"gemm_gflops": gemm_rate(), "memory_gb_per_second": memory_bandwidth()}


def write_json(name: str, results: Any, options: argparse.Namespace) -> Path:
    """Writes NAME.json into the folder of `--out`: results and options, machine, its limits measured in this process.

    Args:
        name: Name of the benchmark.
        results: What was measured: ratios, and units in the keys of the rest.
        options: What `parse` gave.

    Returns:
        The file.
    """
    given = {key: value for key, value in vars(options).items() if key != "out"}
    content = {"options": given, "machine": machine(), "limits": limits(), "results": results}
    options.out.mkdir(parents=True, exist_ok=True)
    path: Path = options.out / f"{name}.json"
    path.write_text(json.dumps(content, indent=2, default=str) + "\n")
    return path


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
