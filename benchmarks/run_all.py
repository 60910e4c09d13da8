"""Runs every benchmark of this folder with quick settings, each in a process of its own.

python benchmarks/run_all.py --help

A benchmark is a file that can be run. Each leaves NAME.json; `bench.json` holds them all, with the machine's limits
before and after. One that fails is told of at the end, and the others run nevertheless.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measuring import limits, machine, parse

HERE = Path(__file__).resolve()


def main() -> None:
    """Run them one after the other; exit code 1 if one has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks to run (all)")
    parser.add_argument("--minutes", type=float, default=10.0, help="after which a benchmark is stopped")
    options = parse(parser)
    options.out.mkdir(parents=True, exist_ok=True)
    names = options.names or benchmarks()
    summary: dict[str, Any] = {"machine": machine(), "limits before": limits(), "benchmarks": {}}
    for name in names:
        print(f"\n## {name}\n", flush=True)
        summary["benchmarks"][name] = run(name, options.out, options.minutes * 60)
    summary["limits after"] = limits()
    (options.out / "bench.json").write_text(json.dumps(summary, indent=2) + "\n")
    failed = [name for name in names if summary["benchmarks"][name]["failed"]]
    taken = [sum(each[key] for each in summary["benchmarks"].values()) / 60 for key in ("seconds", "cpu_seconds")]
    print(
        f"\n{options.out / 'bench.json'}: {len(names) - len(failed)} of {len(names)} benchmarks, "
        f"{taken[0]:.1f} minutes, {taken[1]:.1f} of CPU time"
    )
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def benchmarks() -> list[str]:
    """Names of all files beside this one that can be run."""
    files = sorted(path for path in HERE.parent.glob("*.py") if path != HERE)
    return [path.stem for path in files if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")]


def run(name: str, out: Path, seconds: float) -> dict[str, Any]:
    """Runs a benchmark and gives its results, how long it took, and why it failed if it did."""
    written = out / f"{name}.json"
    written.unlink(missing_ok=True)
    command = [sys.executable, str(HERE.with_name(f"{name}.py")), "--quick", "--out", str(out)]
    start, used = time.perf_counter(), children_seconds()
    try:
        code = subprocess.run(command, timeout=seconds, check=False).returncode
        failed = f"exit code {code}" if code else "" if written.exists() else f"has left no {written.name}"
    except subprocess.TimeoutExpired:
        failed = f"stopped after {seconds:g} s"
    if failed:
        print(f"{name}: {failed}", file=sys.stderr, flush=True)
    content = json.loads(written.read_text()) if written.exists() else {}
    taken = {"seconds": round(time.perf_counter() - start, 1), "cpu_seconds": round(children_seconds() - used, 1)}
    return {**content, **taken, "failed": failed}


def children_seconds() -> float:
    """CPU time of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
