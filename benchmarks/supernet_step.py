"""A training step of the supernet: the library's form against the plain one and the authors' way, in one process.

python benchmarks/supernet_step.py --help

A step is forward, loss, backward and AdamW. The library's way and the plain one train in-batch: each video of a batch
is an anchor. The authors' way forwards six videos for each anchor (itself, its positive, four negatives), in three
passes, each candidate on its own, with a scan under autograd. All forms are the same network with the same weights, and
are compared on one batch before they are timed.

FLOPs are those of the matrix products of the library's form, forward and backward; a multiplication and an addition
count two. Times are CPU time of one thread, medians, without the optimizer; forms take turns, so that a slow moment
hits all.
"""

import argparse
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from avhash_nas.networks import AudioVisualNetwork, Mixture, Route, mixture_route
from avhash_nas.objectives import info_nce, info_nce_triplets
from avhash_nas.space import SearchSpace, load_space
from avhash_nas.training.optimizer import make_adamw
from measuring import gemm_rate, parse, write_json
from supernet_forms import FORMS

STEPS, BITS, NEGATIVES = 25, 64, 4
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")
ROUTES = ("mixture", "single path", "two paths")
GROUPS = {
    "products": PRODUCTS,
    "scans": ("selective_scan", "selective_scan_backward"),
    "sums, filters": ("mixture", "mixture_backward", "mkldnn_convolution", "convolution_backward"),
    "dropout": ("drop", "bernoulli_"),
}
COLUMNS = (
    *("D, expand", "step", "videos", "an anchor", "plain (with AdamW)", "authors, textbook scan"),
    *("authors, parallel scan", "bfloat16", "GFLOP", "of the GEMM rate", "largest difference"),
)
_FORMS = {"fast": nullcontext, **FORMS, "bfloat16": partial(torch.autocast, "cpu", torch.bfloat16)}


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shapes",
        nargs="+",
        default=["768,1,12,12,12", "64,2,4,128,48", "64,2,4,8,48"],
        help="D,expand,heads,videos,videos of the authors' way (a multiple of 6)",
    )
    parser.add_argument("--routes", nargs="+", default=list(ROUTES), choices=ROUTES)
    parser.add_argument("--repeats", type=int, default=3, help="of each form; the authors' way gets two")
    parser.add_argument(
        "--precision", default="highest", choices=("highest", "high", "medium"), help="torch's, of float32 products"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, shapes=["768,1,12,6,6", "64,2,4,32,24"], repeats=2)
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision(options.precision)
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    rows = []
    for shape, route in itertools.product(options.shapes, options.routes):
        rows.append(measure(*map(int, shape.split(",")), route, options))
        print(lines(rows[-1]), flush=True)
    write_json("supernet_step", rows, options)


class Trial:
    """A supernet, its optimizer, and the routes of a strategy.

    Args:
        space: Cells and candidates.
        width: D.
        heads: Of attention.
        kind: One of `ROUTES`.
        seed: Of weights and routes.
    """

    def __init__(self, space: SearchSpace, width: int, heads: int, kind: str, seed: int) -> None:
        torch.manual_seed(seed)
        self.space = space
        self.kind = kind
        self.network = AudioVisualNetwork(width, width, BITS, space, width=width, heads=heads)
        self.alphas = {cell.name: torch.randn(len(cell.candidates), requires_grad=True) for cell in space.cells}
        weights = [*self.network.parameters(), *self.alphas.values()]
        self.optimizer = make_adamw([{"params": weights}], 1e-4, 1e-8)

    def route(self, number: int) -> Route:
        """The route of a step: the same number, the same route."""
        random = np.random.default_rng(number)
        if self.kind == "mixture":
            return mixture_route({cell: alpha.softmax(0) for cell, alpha in self.alphas.items()})
        if self.kind == "single path":
            return self.space.indices(self.space.sample(random))
        route = {}
        for cell, alpha in self.alphas.items():
            pair = tuple(int(one) for one in random.choice(len(alpha), 2, replace=False))
            weights = alpha[list(pair)].softmax(0)
            gates = torch.tensor([1.0, 0.0]) + weights - weights.detach()
            route[cell] = Mixture(gates, pair, frozenset(pair[1:]))
        return route

    def codes(self, count: int, number: int) -> Callable[[], Tensor]:
        """What makes the codes of some videos, on one route."""
        features = torch.randn(2, count, STEPS, self.network.arguments()["width"])
        return lambda: self.network(*features, self.route(number))

    def step(self, loss: Callable[[], Tensor]) -> tuple[float, float]:
        """Seconds of forward and backward, and of the optimizer's step."""
        start = time.process_time()
        loss().backward()
        middle = time.process_time()
        self.optimizer.step()
        end = time.process_time()
        self.optimizer.zero_grad(set_to_none=True)
        return middle - start, end - middle


def measure(
    width: int, expand: int, heads: int, videos: int, rival_videos: int, kind: str, options: argparse.Namespace
) -> dict[str, Any]:
    """One row: milliseconds per anchor of every form, ratios, and the share of the machine's GEMM rate."""
    trial = Trial(dataclasses.replace(load_space("full"), expand=expand), width, heads, kind, options.seed)
    row: dict[str, Any] = {"width": width, "expand": expand, "videos": videos, "rival_videos": rival_videos}
    row |= {"route": kind, "largest_difference": difference(trial)}
    seconds: dict[str, list[tuple[float, float]]] = {"fast": [], **{name: [] for name in (*FORMS, "bfloat16")}}
    rates, operations = [gemm_rate()], []
    numbers = iter(range(10_000))
    for turn in range(-1, options.repeats):
        number = next(numbers)
        for name in seconds:
            authors = name.startswith("authors")
            if authors and turn > 1:
                continue
            loss = triplets(trial, rival_videos, number) if authors else in_batch(trial, videos, number)
            with _FORMS[name]():
                taken = trial.step(loss)
            if turn >= 0:
                seconds[name].append((taken[0] / (rival_videos // 6 if authors else videos), taken[1]))
        if turn >= 0:
            operations.append(products(trial, in_batch(trial, videos, number)) / videos)
        rates.append(gemm_rate(repeats=5))
    row["anchor_ms"] = {name: 1e3 * statistics.median(one for one, _ in taken) for name, taken in seconds.items()}
    row["optimizer_ms"] = 1e3 * statistics.median(one for taken in seconds.values() for _, one in taken)
    row["anchor_gflop"] = statistics.mean(operations) / 1e9
    row["gemm_gflops"] = statistics.median(rates)
    loss = in_batch(trial, videos, 0)
    row["profile"] = {name: profile(trial, loss, name) for name in ("plain", "fast")}
    return row | derived(row, seconds, operations)


def products(trial: Trial, loss: Callable[[], Tensor]) -> int:
    """FLOPs of the matrix products of a step."""
    with FlopCounterMode(display=False) as counter:
        loss().backward()
    trial.optimizer.zero_grad(set_to_none=True)
    counts = counter.get_flop_counts()["Global"]
    return sum(counts.get(getattr(torch.ops.aten, name), 0) for name in PRODUCTS)


def profile(trial: Trial, loss: Callable[[], Tensor], form: str) -> dict[str, float]:
    """Which operators the time of forward and backward goes to, by group; "rest" is all else that is measured."""
    with _FORMS[form](), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        loss().backward()
    trial.optimizer.zero_grad(set_to_none=True)
    spent = {event.key.rpartition("::")[2]: event.self_cpu_time_total for event in profiler.key_averages()}
    whole = sum(spent.values())
    shares = {group: sum(spent.get(name, 0) for name in names) / whole for group, names in GROUPS.items()}
    return shares | {"rest": 1 - sum(shares.values())}


def derived(
    row: dict[str, Any], seconds: dict[str, list[tuple[float, float]]], operations: list[float]
) -> dict[str, Any]:
    """Ratios to the library's form, of times on the same routes, and its share of the GEMM rate."""
    ratios = {}
    for name, taken in seconds.items():
        pairs = zip(taken, seconds["fast"], strict=False)
        ratios[name] = statistics.median(one / other for (one, _), (other, _) in pairs)
    shares = [count / one / 1e9 for count, (one, _) in zip(operations, seconds["fast"], strict=True)]
    optimizer = row["optimizer_ms"] / row["videos"]
    whole = (row["anchor_ms"]["plain"] + optimizer) / (row["anchor_ms"]["fast"] + optimizer)
    return {
        "ratios": ratios,
        "ratio_plain_whole_step": whole,
        "gemm_share": statistics.median(shares) / row["gemm_gflops"],
    }


def in_batch(trial: Trial, videos: int, number: int) -> Callable[[], Tensor]:
    """The library's loss: every video is an anchor, pairs of a class are positives."""
    labels = torch.nn.functional.one_hot(torch.arange(videos) // 2).bool()
    codes = trial.codes(videos, number)
    return lambda: info_nce(codes(), labels)


def triplets(trial: Trial, videos: int, number: int) -> Callable[[], Tensor]:
    """The authors' loss: anchors, positives and negatives go through the network in three passes."""
    anchors = videos // (2 + NEGATIVES)
    passes = [trial.codes(count * anchors, number) for count in (1, 1, NEGATIVES)]

    def loss() -> Tensor:
        groups = [codes().unflatten(0, (anchors, -1)) for codes in passes]
        return info_nce_triplets(torch.cat(groups, 1).flatten(0, 1), NEGATIVES)

    return loss


def difference(trial: Trial) -> float:
    """The largest difference of the codes of any two forms, on one batch, without dropout."""
    trial.network.eval()
    codes = trial.codes(2, 0)
    with torch.no_grad():
        found = [*_in_every_form(codes)]
    trial.network.train()
    return max(float((one - found[0]).abs().max()) for one in found[1:])


def _in_every_form(codes: Callable[[], Tensor]) -> Iterator[Tensor]:
    yield codes()
    for form in FORMS.values():
        with form():
            yield codes()


def lines(row: dict[str, Any]) -> str:
    """A line of the Markdown table, and one that says where the time goes."""
    ratios = row["ratios"]
    profiles = (
        f"{form}: " + ", ".join(f"{group} {share:.0%}" for group, share in shares.items())
        for form, shares in row["profile"].items()
    )
    return (
        f"| {row['width']}, {row['expand']} | {row['route']} | {row['videos']} | {row['anchor_ms']['fast']:.2f} ms "
        f"| {ratios['plain']:.2f} ({row['ratio_plain_whole_step']:.2f}) "
        f"| {ratios['authors, textbook scan']:.1f} | {ratios['authors, parallel scan']:.1f} | {ratios['bfloat16']:.2f} "
        f"| {row['anchor_gflop']:.3f} | {row['gemm_share']:.0%} of {row['gemm_gflops']:.0f} GFLOP/s "
        f"| {row['largest_difference']:.0e} |\n  {'; '.join(profiles)}"
    )


if __name__ == "__main__":
    main()
