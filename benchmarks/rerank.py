"""What a rerank costs: seconds of one query with it against Hamming distance alone, in one process.

python benchmarks/rerank.py
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval import AsymmetricRerank, CodeStore, FrameRerank, Rerank, ValueRerank, create_store
from measuring import parse, write_json

DEPTHS = (50, 100, 500)
WAYS: tuple[Callable[[int], Rerank], ...] = (AsymmetricRerank, ValueRerank, FrameRerank)


def code_set(videos: int, bits: int, steps: int, frames: bool) -> CodeSet:
    """Random codes, with all that is kept beside them."""
    random = np.random.default_rng(0)
    values = np.tanh(random.standard_normal((videos, bits), np.float32)).astype(np.float16)
    kept = np.tanh(random.standard_normal((videos, steps, bits), np.float32)).astype(np.float16) if frames else None
    ids = np.char.add("video-", np.arange(videos).astype(np.str_))
    return CodeSet(ids, np.packbits(values >= 0, axis=1), bits, "0", values=values, frames=kept)


def answer(store: CodeStore, query: CodeSet, rerank: Rerank | None, top: int) -> None:
    """What a search does with a query: recall, and then fetch and order what was recalled."""
    if rerank is None:
        store.search(query.packed, top).of(0)
        return
    found = store.search(query.packed, rerank.depth).of(0)
    parts = rerank.database_parts
    candidates = store.fetch([video for video, _ in found], "values" in parts, "frames" in parts)
    rerank.order(query, candidates)


def seconds(store: CodeStore, queries: CodeSet, ways: Sequence[Rerank | None], top: int) -> list[float]:
    """Median CPU seconds of a query in each way.

    At each query the ways come in another order, as each leaves its successor another cache.
    """
    taken: list[list[float]] = [[] for _ in ways]
    random = np.random.default_rng(0)
    for row in range(len(queries)):
        query = queries.take([row])
        for place in random.permutation(len(ways)).tolist():
            start = time.thread_time()
            answer(store, query, ways[place], top)
            taken[place].append(time.thread_time() - start)
    return [statistics.median(times[1:]) for times in taken]


def main() -> None:
    """Print one line for each size of database, way and depth; write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, nargs="+", default=[1_800, 100_000, 1_000_000], help="searched")
    parser.add_argument("--frames-up-to", type=int, default=100_000, help="largest database that keeps time steps")
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--steps", type=int, default=25, help="time steps of a video")
    parser.add_argument("--queries", type=int, default=101, help="the first warms up")
    parser.add_argument("--top", type=int, default=10, help="answers of a query without rerank")
    given = parse(parser, videos=[1_800, 100_000])
    rows = []
    print("videos     rerank             k   bytes a video      time      Hamming alone      ratio")
    for videos in given.videos:
        codes = code_set(videos, given.bits, given.steps, videos <= given.frames_up_to)
        queries = code_set(given.queries, given.bits, 1, frames=False)
        ways = [way(k) for way in WAYS for k in DEPTHS if way is not FrameRerank or codes.frames is not None]
        with tempfile.TemporaryDirectory() as folder:
            store = create_store(str(Path(folder) / "index"), codes)
            plain, *reranked = seconds(store, queries, [None, *ways], given.top)
        for way, taken in zip(ways, reranked, strict=True):
            rows.append({"videos": videos, "rerank": type(way).__name__, "k": way.depth, "plain_seconds": plain})
            rows[-1] |= {"seconds": taken, "bytes_per_video": way.bytes_per_video(codes)}
            print(
                f"{videos:<9,}  {type(way).__name__:16} {way.depth:>3}   {way.bytes_per_video(codes):>13,}  "
                f"{taken * 1e3:>6.2f} ms      {plain * 1e3:>10.3f} ms   {taken / plain:>8.1f}",
                flush=True,
            )
    write_json("rerank", rows, given)


if __name__ == "__main__":
    main()
