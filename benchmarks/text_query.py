"""A query by words over many videos: recall by codes and rerank, against scoring every frame.

`python benchmarks/text_query.py --videos 1000000` makes videos of 12 frame vectors of width 64 around a direction of
their own, texts near these directions, and 64-bit codes (the signs of the mean frame), builds a FAISS file, and answers
the texts in both ways in one process on one thread. It prints R@1 and R@10 of both, and the median seconds a query.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from avhash_nas.code_set import CodeSet
from avhash_nas.retrieval import MIH, Flat, TextGatedRerank, create_store
from avhash_nas.retrieval.text_gated import gated_similarity
from measuring import parse, write_json

BITS = WIDTH = 64
FRAMES = 12
BLOCK = 20_000


def make(videos: int, queries: int, noise: float, seed: int) -> tuple[CodeSet, CodeSet]:
    random = np.random.default_rng(seed)
    frames = np.empty((videos, FRAMES, WIDTH), np.float16)
    values = np.empty((videos, BITS), np.float16)
    texts = np.empty((queries, WIDTH), np.float32)
    for start in range(0, videos, BLOCK):
        stop = min(start + BLOCK, videos)
        own = random.standard_normal((stop - start, 1, WIDTH), np.float32)
        block = own + random.standard_normal((stop - start, FRAMES, WIDTH), np.float32)
        frames[start:stop] = block / np.linalg.norm(block, axis=2, keepdims=True)
        mean = frames[start:stop].astype(np.float32).mean(axis=1)
        values[start:stop] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        if start < queries:
            asked = own[: queries - start, 0]
            texts[start : start + len(asked)] = asked + noise * random.standard_normal(asked.shape, np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    ids = np.char.zfill(np.arange(videos).astype(np.str_), 7)
    database = CodeSet(ids, np.packbits(values >= 0, axis=1), BITS, "made", values, frames)
    vectors = texts.astype(np.float16)
    return CodeSet(ids[:queries], np.packbits(texts >= 0, axis=1), BITS, "made", vectors, vectors[:, None]), database


def main() -> None:
    """Print hits and seconds of both ways; write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--all", type=int, default=20, help="queries that are also scored against every frame")
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--noise", type=float, default=0.4, help="of a text, in units of its video's direction")
    parser.add_argument("--kind", choices=["flat", "mih"], default="flat")
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, videos=100_000)
    queries, database = make(options.videos, options.queries, options.noise, options.seed)
    rerank = TextGatedRerank(options.depth, frames=1.0, context=0.0, coarse=0.0)
    with tempfile.TemporaryDirectory() as folder:
        store = create_store(str(Path(folder) / "store"), database, MIH() if options.kind == "mih" else Flat())
        store.search(queries.packed[:1], options.depth)
        two_stages, every = [], []
        found = {"two stages": [], "every frame": []}
        for row in range(options.queries):
            query, target = queries.take([row]), str(queries.ids[row])
            started = time.perf_counter()
            names = [name for name, _ in store.search(query.packed, options.depth).of(0)]
            order, _ = rerank.order(query, store.fetch(names, values=True, frames=True))
            two_stages.append(time.perf_counter() - started)
            first = [names[place] for place in order[:10]]
            found["two stages"].append(first.index(target) if target in first else 10)
            if row >= options.all:
                continue
            started = time.perf_counter()
            scores = np.concatenate([
                gated_similarity(query.frames[0, 0], database.frames[start : start + BLOCK], rerank.frame_temperature)
                for start in range(0, options.videos, BLOCK)
            ])  # fmt: skip
            best = np.argpartition(-scores, 10)[:10]
            best = best[np.argsort(-scores[best])]
            every.append(time.perf_counter() - started)
            found["every frame"].append(best.tolist().index(row) if row in best else 10)
    print(
        f"{options.videos:,} videos, {FRAMES} frames of width {WIDTH}, {BITS} bits, {options.kind}, k = {options.depth}"
    )
    results = {}
    for name, places in (*found.items(), (f"two stages, the same {options.all}", found["two stages"][: options.all])):
        hits = [float(100 * np.mean([place < k for place in places])) for k in (1, 10)]
        results[name] = {"queries": len(places), "R@1": hits[0], "R@10": hits[1]}
        print(f"{name}: {len(places)} queries, R@1 {hits[0]:.1f}, R@10 {hits[1]:.1f}")
    fast, slow = statistics.median(two_stages), statistics.median(every)
    print(f"seconds a query, median: two stages {fast:.5f}, every frame {slow:.4f}, ratio {slow / fast:.0f}")
    write_json("text_query", {**results, "ratio": slow / fast}, options)


if __name__ == "__main__":
    main()
