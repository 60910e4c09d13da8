"""From feature files to batches: conversion against copying the same bytes, opening, batches, memory of several ranks.

python benchmarks/input.py --help

Makes two files of random features, one group per video, in a temporary folder. The first opening converts them; the
limit is to read the same files from end to end and to write them elsewhere, which is what the disk allows. Before
either, the files leave the page cache. Both write through to the disk, and are timed by the clock, as they wait for
it; CPU time is told, too. Batches of 128 videos are drawn at random from both mapped arrays without workers: from the
page cache, and after they have left it. Ranks are processes that each read every video and hold on to the mapping.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.features import Features, open_features
from avhash_nas.data.loading import Videos
from measuring import parse, write_json

FILES = ("image.h5", "audio.h5")


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=91_016, help="FCVID's number; with the defaults 28 GB")
    parser.add_argument("--frames", type=int, default=25, help="T")
    parser.add_argument("--dim", type=int, default=768, help="of both modalities")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16"])
    parser.add_argument("--batches", type=int, default=30, help="the median of so many is told")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--folder", default=None, help="on the disk to measure; by default where temporary files go")
    options = parse(parser, videos=10_000, dtype="float16")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        results = measured(Path(folder), options)
    print(table(results))
    write_json("input", results, options)


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds and bytes of everything, in the order in which a user meets it."""
    random = np.random.default_rng(0)
    ids = [f"video{number:06d}" for number in range(options.videos)]
    files = [folder / name for name in FILES]
    made = clock_and_cpu(lambda: [make(file, ids, options, random) for file in files])
    size = sum(file.stat().st_size for file in files)
    forget(*files)
    copied = clock_and_cpu(lambda: [copy(file, file.with_suffix(".copy")) for file in files])
    for file in files:
        file.with_suffix(".copy").unlink()
    forget(*files)
    converted = clock_and_cpu(lambda: [open_features(file, ids, cache_dir=folder) for file in files])
    for file in files:
        file.write_bytes(b"")  # no longer needed; but a changed file would be converted anew
    arrays = sorted(folder.glob("*.npy"), reverse=True)  # image, audio
    return {
        "bytes": size,
        "make_seconds": made,
        "copy_seconds": copied,
        "convert_seconds": converted,
        "open_seconds": statistics.median(clock_and_cpu(lambda: [*map(Features, arrays)])[0] for _ in range(9)),
        **batches(arrays, options, random),
        **ranks(arrays, options.ranks),
    }


def make(path: Path, ids: list[str], options: argparse.Namespace, random: np.random.Generator) -> None:
    """One group per video, in the order of their names, and written to the disk."""
    some = random.random((64, options.frames, options.dim), np.float32).astype(options.dtype)
    with h5py.File(path, "w") as file:
        for number, name in enumerate(ids):
            file.create_group(name)["vectors"] = some[number % len(some)]


def copy(source: Path, target: Path) -> None:
    """Reads a file from end to end and writes it, 8 MiB at a time, down to the disk."""
    with source.open("rb") as file, target.open("wb") as out:
        while block := file.read(2**23):
            out.write(block)
        out.flush()
        os.fsync(out.fileno())


def forget(*paths: Path) -> None:
    """Makes the system drop files from its page cache."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def clock_and_cpu(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of CPU time."""
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def batches(arrays: list[Path], options: argparse.Namespace, random: np.random.Generator) -> dict[str, Any]:
    """Median seconds of a batch of 128 by the clock and of CPU time: of videos that are in the page cache, and not."""
    rows = random.permutation(options.videos)
    cold = batch_seconds(arrays, rows, options.batches, touched=False)
    warm = batch_seconds(arrays, rows[: 128 * 8], options.batches, touched=True)
    batch_bytes = 2 * 128 * options.frames * options.dim * 4
    target, source = np.empty(batch_bytes, np.uint8), np.ones(batch_bytes, np.uint8)
    copies = [clock_and_cpu(lambda: np.copyto(target, source)) for _ in range(options.batches)]
    return {
        "cold_batch_seconds": cold,
        "warm_batch_seconds": warm,
        "batch_bytes": batch_bytes,
        "batch_copy_seconds": [statistics.median(each) for each in zip(*copies, strict=True)],
    }


def batch_seconds(arrays: list[Path], rows: NDArray[np.int64], count: int, touched: bool) -> list[float]:
    """Median seconds of some batches of these videos, by the clock and of CPU time."""
    forget(*arrays)
    videos = Videos(*map(Features, arrays), np.zeros((rows.max() + 1, 1), np.bool_))
    parts = [np.resize(rows[128 * number % len(rows) :], 128) for number in range(count)]
    if touched:
        for part in parts:
            videos.batch(part)
    taken = [clock_and_cpu(lambda part=part: videos.batch(part)) for part in parts]
    return [statistics.median(each) for each in zip(*taken, strict=True)]


def ranks(arrays: list[Path], count: int) -> dict[str, Any]:
    """Bytes of the mapped arrays that each of some processes holds, and its share of them where pages are shared."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(count), context.Queue()
    features = [Features(path) for path in arrays]
    processes = [context.Process(target=rank, args=(features, barrier, answers)) for _ in range(count)]
    for process in processes:
        process.start()
    told = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return {"mapped_bytes": sum(path.stat().st_size for path in arrays), "rank_rss_pss_private_bytes": told}


def rank(features: list[Features], barrier: Barrier, answers: Any) -> None:
    """Reads all videos, batch after batch, waits for the others, and tells what its mapping holds."""
    for each in features:
        for start in range(0, len(each), 128):
            each.read(np.arange(start, min(start + 128, len(each))))
    barrier.wait()
    answers.put(mapped({str(each.path) for each in features}))
    barrier.wait()


def mapped(paths: set[str]) -> tuple[int, int, int]:
    """Bytes of some mapped files in this process: resident, its share of these, and those of it alone and changed."""
    sums = {"Rss:": 0, "Pss:": 0, "Private_Dirty:": 0}
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0]:  # a mapping's first line ends with the file's name
            inside = words[-1] in paths
        elif inside and words[0] in sums:
            sums[words[0]] += 1024 * int(words[1])
    return sums["Rss:"], sums["Pss:"], sums["Private_Dirty:"]


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    size, lines = results["bytes"] / 1e9, ["| | by the clock | CPU | |", "|---|---|---|---|"]
    for name in ("make", "copy", "convert"):
        clock, cpu = results[f"{name}_seconds"]
        lines.append(f"| {name} {size:.1f} GB | {clock:.1f} s | {cpu:.1f} s | {size / clock:.2f} GB/s |")
    lines.append(f"| open again | {results['open_seconds'] * 1e3:.2f} ms | | |")
    for name, told in (
        ("warm_batch", "batch of 128, warm"),
        ("cold_batch", "cold"),
        ("batch_copy", "copy of its bytes"),
    ):
        clock, cpu = results[f"{name}_seconds"]
        rate = results["batch_bytes"] / clock / 1e9
        lines.append(f"| {told} | {clock * 1e3:.2f} ms | {cpu * 1e3:.2f} ms | {rate:.1f} GB/s |")
    for number, (rss, pss, private) in enumerate(results["rank_rss_pss_private_bytes"]):
        shares = f"{rss / 1e6:,.0f} MB mapped, {pss / 1e6:,.0f} MB its share, {private / 1e6:,.0f} MB its own"
        lines.append(f"| rank {number} of {results['mapped_bytes'] / 1e6:,.0f} MB | {shares} | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
