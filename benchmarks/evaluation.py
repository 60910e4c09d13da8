"""All retrieval measures at the paper's sizes, against a loop over the queries and FAISS, in one process and thread.

python benchmarks/evaluation.py --help

Codes lie around a center for each class, each of its bits flipped with probability 0.25, so that there are many ties.
Videos have one label, and some a second one. The loop is what is usual in the field: for each query relevance from a
product of labels, distances from a product of signs, argsort, and AP; it breaks ties as the sort happens to, and gives
mAP alone. It is timed on a sample of the queries and scaled, and so are its argsorts alone. "NumPy" is what `evaluate`
does where nothing can be compiled, "metric" what validation and test call. FAISS's flat binary index is asked for the
nearest item, the least that it can be asked for; so it keeps no distances, but has to compute each. Peak memory is that
of a process of its own that evaluates the same codes, with all that it holds, and in brackets what evaluating adds.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.codes import unpack
from avhash_nas.metrics import RetrievalMetric, evaluate, hamming_distances
from measuring import median_seconds, parse, write_json

SIZES = {"ActivityNet": (2_413, 10_023, 200), "FCVID": (22_754, 45_508, 239)}
"""Queries, videos searched, classes."""
BITS = 64
Videos = tuple[Tensor, Tensor, Tensor, Tensor]


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--repeats", type=int, default=3, help="the median of so many is told")
    parser.add_argument("--sample", type=int, default=200, help="queries of the loop")
    parser.add_argument("--peak", default="", choices=["", *SIZES], help="evaluate this once, print bytes at peak")
    options = parse(parser, repeats=1, sample=100)
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    if options.peak:
        print(*peaks_of(options.peak))
        return
    print("| data | loop | its argsorts | permuted | expected | metric | NumPy | peak memory | distances | FAISS |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    for name in options.sizes:
        rows.append({"data": name, **measured(make(name), options), "peak_bytes": peaks_in_child(name)})
        print(line(rows[-1]), flush=True)
    write_json("evaluation", rows, options)


def make(name: str) -> Videos:
    """Codes and labels of the queries and of the items."""
    queries, items, classes = SIZES[name]
    random = np.random.default_rng(0)
    centers = random.integers(0, 256, (classes, BITS // 8), dtype=np.uint8)
    made = []
    for count in (queries, items):
        of_class = random.integers(0, classes, count)
        flips = np.packbits(random.random((count, BITS), np.float32) < 0.25, axis=1)
        labels = np.zeros((count, classes), np.bool_)
        labels[np.arange(count), of_class] = True
        more = random.random(count) < 0.1
        labels[np.flatnonzero(more), random.integers(0, classes, more.sum())] = True
        made += [torch.from_numpy(centers[of_class] ^ flips), torch.from_numpy(labels)]
    return tuple(made)  # type: ignore[return-value]


def measured(videos: Videos, options: argparse.Namespace) -> dict[str, float]:
    """CPU seconds of each way, in turns, so that a busy machine slows all of them."""
    queries, items = videos[0], videos[2]
    index = faiss.IndexBinaryFlat(BITS)
    index.add(items.numpy())
    pairs = len(queries) * len(items)
    some = queries[: max(1, 2**27 // len(items))]  # whose distances take 128 MB
    whole = len(queries) / len(some)
    loop, argsorts = loop_seconds(videos, options.sample)
    metric = filled(videos)
    with mock.patch("avhash_nas.metrics.evaluation.native_ranking", return_value=None):
        start = time.process_time()
        evaluate(*videos)
        plain = time.process_time() - start
    return {
        "pairs": pairs,
        "loop_seconds": loop,
        "argsorts_seconds": argsorts,
        "numpy_seconds": plain,
        "permuted_seconds": median_seconds(lambda: evaluate(*videos), options.repeats),
        "expected_seconds": median_seconds(lambda: evaluate(*videos, ties="expected"), options.repeats),
        "metric_seconds": median_seconds(lambda: computed(metric), options.repeats),
        "distances_seconds": whole * median_seconds(lambda: hamming_distances(some, items), options.repeats),
        "faiss_seconds": whole * median_seconds(lambda: index.search(some.numpy(), 1), options.repeats),
    }


def loop_seconds(videos: Videos, sample: int) -> tuple[float, float]:
    """CPU seconds of the loop for all queries, from those of some, and of its argsorts alone."""
    queries, items = (unpack(packed, BITS).numpy().astype(np.float32) for packed in (videos[0][:sample], videos[2]))
    query_labels, labels = (each.numpy().astype(np.float32) for each in (videos[1][:sample], videos[3]))
    start = time.process_time()
    sorting = looped(queries, query_labels, items, labels)
    scale = len(videos[0]) / len(queries)
    return (time.process_time() - start) * scale, sorting * scale


def looped(queries: NDArray[Any], query_labels: NDArray[Any], items: NDArray[Any], labels: NDArray[Any]) -> float:
    """Finds mAP over whole rankings, query after query, and gives the seconds that sorting took."""
    total = sorting = 0.0
    for code, own in zip(queries, query_labels, strict=True):
        relevant = own @ labels.T > 0
        distances = 0.5 * (BITS - code @ items.T)
        start = time.process_time()
        order = np.argsort(distances)
        sorting += time.process_time() - start
        hits = np.flatnonzero(relevant[order]) + 1
        total += float(np.mean(np.arange(1, len(hits) + 1) / hits)) if len(hits) else 0.0
    assert 0 <= total <= len(queries)
    return sorting


def filled(videos: Videos) -> RetrievalMetric:
    """The metric of validation and test, which has seen all videos in batches of 128."""
    metric = RetrievalMetric()
    for role, packed, labels in (("query", *videos[:2]), ("database", *videos[2:])):
        codes, index = unpack(packed, BITS).float(), torch.arange(len(packed))
        for rows in index.split(128):
            metric.update(codes[rows], labels[rows], rows, role)  # type: ignore[arg-type]
    return metric


def computed(metric: RetrievalMetric) -> None:
    """All it computes; torchmetrics would keep the first result."""
    metric._computed = None
    metric.compute()


def peaks_in_child(name: str) -> list[int]:
    command = [sys.executable, __file__, "--peak", name]
    return [int(found) for found in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def peaks_of(name: str) -> tuple[int, int]:
    """Bytes that this process takes at the peak of an evaluation, and how many of them are new."""
    videos = make(name)
    evaluate(*(each[:10] for each in videos))
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = resident("VmRSS")
    evaluate(*videos)
    return resident("VmHWM"), resident("VmHWM") - before


def resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def line(row: dict[str, Any]) -> str:
    """A line of the table: seconds, and how many times as fast as the loop."""
    ways = [row[f"{name}_seconds"] for name in ("argsorts", "permuted", "expected", "metric", "numpy")]
    cells = [f"{seconds:.2f} s, {row['loop_seconds'] / seconds:.0f}" for seconds in ways]
    rates = [f"{row[f'{name}_seconds'] / row['pairs'] * 1e9:.2f} ns a pair" for name in ("distances", "faiss")]
    peak, new = (size / 2**20 for size in row["peak_bytes"])
    cells = [row["data"], f"{row['loop_seconds']:.0f} s", *cells, f"{peak:.0f} MiB ({new:.0f})", *rates]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
