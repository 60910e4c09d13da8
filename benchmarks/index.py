"""Recall and latency of each kind of index against exact search, in one process and by one thread.

python benchmarks/index.py --help

Codes in clusters: each is its cluster's center with some bits flipped, and so are the queries. Recall@K counts answers
that are no farther than the K-th exact one, so that it does not matter which of several equally near codes an index
gives. Times of a query go through the whole store, ids included; "limit" is the time in which one core of this machine
reads all codes once, the least that an exact search could take. All times but Milvus's, whose server is a process of
its own, are processor time, as machines are shared.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval import HNSW, IVF, MIH, CodeStore, Flat, IndexKind, Neighbors, create_store, open_store
from measuring import parse, write_json

Packed = NDArray[np.uint8]


@dataclass
class Row:
    """One line of the table; seconds and bytes."""

    name: str
    build: float
    file: int
    memory: int
    open: float
    single: float
    batch: float
    recall: float


class TooSlowError(Exception):
    """A build went past its limit."""


def main() -> None:
    """Measure, print, write JSON."""
    options = parse_options()
    random = np.random.default_rng(options.seed)
    centers = random.integers(0, 256, (max(1, options.codes // options.cluster), options.bits // 8), dtype=np.uint8)
    packed = clustered(random, centers, options.codes, options.flip)
    queries = clustered(random, centers, options.queries, options.flip)
    ids = np.char.mod("video%08d", np.arange(options.codes))
    codes = CodeSet(ids=ids, packed=packed, bits=options.bits, fingerprint="0" * 16)
    limit = reading(packed)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = list(measured(codes, queries, Path(folder), options))
    print(table(rows, limit, options))
    write_json("index", {"limit": limit, "rows": [asdict(row) for row in rows]}, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--top", type=int, default=100, help="K")
    parser.add_argument("--cluster", type=int, default=1000, help="codes of a cluster")
    parser.add_argument("--flip", type=float, default=0.2, help="share of a center's bits that a code has otherwise")
    parser.add_argument("--kinds", nargs="+", default=["flat", "mih", "ivf", "hnsw"], help="also milvus")
    parser.add_argument("--m", type=int, default=16, help="of hnsw")
    parser.add_argument("--ef_construction", type=int, default=40, help="of hnsw")
    parser.add_argument(
        "--limit", type=float, default=3600.0, help="seconds (by the clock) after which a build is given up"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", default=None, help="for the indexes; the system's temporary folder by default")
    return parse(parser, codes=200_000, queries=100)


def clustered(random: np.random.Generator, centers: Packed, count: int, flip: float) -> Packed:
    """Codes around randomly chosen centers; drawn block by block, as the flips take a byte for each bit."""
    codes = centers[random.integers(0, len(centers), count)]
    for start in range(0, count, 100_000):
        block = codes[start : start + 100_000]
        block ^= np.packbits(random.random((len(block), 8 * codes.shape[1]), np.float32) < flip, axis=1)
    return codes


def reading(packed: Packed) -> float:
    """Seconds to read all codes once: the best of some sums."""
    words = packed.view(np.uint64)
    return min(timed(words.sum) for _ in range(20))


def timed(function: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    started = clock()
    function()
    return clock() - started


def measured(codes: CodeSet, queries: Packed, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    """A row for each kind and setting; the exact search comes first, as the others are compared with it."""
    exact: NDArray[np.int32] | None = None
    for name in options.kinds:
        where = f"milvus:{folder}/codes.db" if name == "milvus" else str(folder / f"{name}.avnas")
        kinds: dict[str, IndexKind] = {
            "ivf": IVF(),
            "hnsw": HNSW(options.m, options.ef_construction),
            "mih": MIH(),
        }
        clock = time.perf_counter if name == "milvus" else time.process_time
        started = clock()
        try:
            store = create_store(where, codes, kinds.get(name, Flat()), progress=progress(name, options.limit))
        except TooSlowError as error:
            print(error, file=sys.stderr)
            continue
        build = clock() - started
        opened = timed(lambda where=where: open_store(where).search(queries[:1], options.top), clock)
        memory = memory_of(where, queries, options.top)
        for setting in settings(name, store):
            found, single = one_by_one(store, queries, options.top, clock)
            exact = found if exact is None else exact
            recall = float((found <= exact[:, -1:]).mean())
            batch = timed(lambda store=store: store.search(queries, options.top), clock) / len(queries)
            row = Row(setting, build, store.size(), memory, opened, single, batch, recall)
            print(asdict(row), file=sys.stderr)
            yield row


def progress(name: str, limit: float) -> Callable[[int, int], None]:
    """Gives up a build that takes too long."""
    started = time.perf_counter()

    def told(done: int, total: int) -> None:
        taken = time.perf_counter() - started
        if 10 * done // total > 10 * (done - 5000) // total:
            print(f"{name}: {done:,} of {total:,}, {taken:.0f} s", file=sys.stderr)
        if taken > limit and done < total:
            raise TooSlowError(f"{name}: given up after {taken:.0f} s with {done:,} of {total:,} codes")

    return told


def settings(name: str, store: CodeStore) -> Iterator[str]:
    """Brings the store into each of some states that trade recall for time, and names it."""
    kind = store.header.kind
    if isinstance(kind, IVF):
        lists = int(len(store) ** 0.5)
        for share in (64, 16, 4):
            kind.nprobe = max(1, lists // share)
            yield f"ivf, {lists:,} lists, {kind.nprobe} probed"
    elif isinstance(kind, HNSW):
        for kind.ef_search in (128, 512, 2048):
            yield f"hnsw, m {kind.m}, ef {kind.ef_search}"
    else:
        yield name


def one_by_one(
    store: CodeStore, queries: Packed, top: int, clock: Callable[[], float]
) -> tuple[NDArray[np.int32], float]:
    """Distances of the answers, and the median time of a query."""
    found: list[Neighbors] = []
    times = [
        timed(lambda row=row: found.append(store.search(queries[[row]], top)), clock) for row in range(len(queries))
    ]
    return np.concatenate([each.distances for each in found]), float(np.median(times))


def memory_of(where: str, queries: Packed, top: int) -> int:
    """Bytes that a process of its own takes more than before, once it has opened the store and searched."""
    if where.startswith("milvus:"):
        return 0
    program = (
        "import sys, numpy as np\n"
        "from avhash_nas.retrieval import open_store\n"
        "def resident():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return 1024 * int(next(line for line in lines if line.startswith('VmRSS')).split()[1])\n"
        "import faiss\n"
        "before = resident()\n"
        "queries = np.frombuffer(bytes.fromhex(sys.argv[2]), np.uint8).reshape(8, -1)\n"
        "store = open_store(sys.argv[1])\n"
        "store.search(queries, int(sys.argv[3]))\n"
        "print(resident() - before)\n"
    )
    arguments = [sys.executable, "-c", program, where, queries[:8].tobytes().hex(), str(top)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    return int(done.stdout)


def table(rows: list[Row], limit: float, options: argparse.Namespace) -> str:
    """Markdown; times of a query are told in times of the exact search, too."""
    exact = rows[0].single
    lines = [
        f"{options.codes:,} codes of {options.bits} bits; limit {limit * 1e3:.2f} ms, "
        f"{options.codes * options.bits / 8 / limit / 1e9:.1f} GB/s; exact search {exact / limit:.1f} times the limit",
        "",
        f"| index | recall@{options.top} | a query | of exact | in a batch | of exact | open and first query | build "
        "| file | memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        memory = f"{row.memory / 1e6:,.0f} MB" if row.memory else ""
        lines.append(
            f"| {row.name} | {row.recall:.3f} | {row.single * 1e3:.2f} ms | {row.single / exact:.2f} "
            f"| {row.batch * 1e3:.2f} ms | {row.batch / rows[0].batch:.2f} | {row.open:.2f} s | {row.build:,.1f} s "
            f"| {row.file / 1e6:,.0f} MB | {memory} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
