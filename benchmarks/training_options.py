"""What the options of training change: the fused optimizer, activation checkpointing, torch.compile.

python benchmarks/training_options.py --help

Bytes are counted, not sampled (saved_bytes.py). Times are CPU time of one thread, medians; forms take turns, so that a
slow moment hits all.
"""

import argparse
import copy
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from avhash_nas.data import Batch
from avhash_nas.networks import AudioVisualNetwork, Route, compile_network, mixture_route
from avhash_nas.space import SearchSpace, load_space
from avhash_nas.training.optimizer import make_adamw
from measuring import parse, write_json
from saved_bytes import peak_bytes, random_batch, saved_bytes

BITS, LR, EPS = 64, 1e-6, 1e-8


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", default=["768,12,4", "64,4,32"], help="D,heads,videos; E = 2 D")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="torch.compile as well, for minutes")
    options = parse(parser, shapes=["64,4,16"], repeats=3)
    torch.set_num_threads(1)
    results = {shape: measure(*map(int, shape.split(",")), options) for shape in options.shapes}
    write_json("training_options", results, options)


def measure(width: int, heads: int, videos: int, options: argparse.Namespace) -> dict[str, Any]:
    """All options at one size."""
    torch.manual_seed(0)
    space = load_space("full")
    network = AudioVisualNetwork(width, width, BITS, space, width=width, heads=heads)
    batch = random_batch(videos, options.frames, width)
    print(f"\nD = {width}, {videos} videos of {options.frames} time steps", flush=True)
    found: dict[str, Any] = {"optimizer": optimizers(network, options.repeats)}
    for name, route in routes(space).items():
        found[name] = checkpointing(name, network, batch, route, options.repeats)
    if options.compile:
        found["compile"] = compiled(network, batch, routes(space)["single path"], options.repeats)
    return found


def routes(space: SearchSpace) -> dict[str, Route]:
    """The mixture of all candidates, and a random single path."""
    weights = {cell.name: torch.full((len(cell.candidates),), 0.5).requires_grad_() for cell in space.cells}
    return {
        "mixture": mixture_route(weights),
        "single path": space.indices(space.sample(np.random.default_rng(0))),
    }


def in_turns(forms: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each form; one more round warms up."""
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for _, (name, form) in itertools.product(range(repeats + 1), forms.items()):
        start = time.process_time()
        form()
        taken[name].append(time.process_time() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def optimizers(network: AudioVisualNetwork, repeats: int) -> dict[str, float]:
    """Seconds of a step over all weights."""
    parameters = [parameter.detach().clone().requires_grad_() for parameter in network.parameters()]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    forms = {
        "fused": make_adamw([{"params": parameters}], LR, EPS),
        "loop": torch.optim.AdamW(parameters, lr=LR, foreach=False),
        "foreach": torch.optim.AdamW(parameters, lr=LR, foreach=True),
    }
    seconds = in_turns({name: form.step for name, form in forms.items()}, repeats)
    ratios = ", ".join(f"{name} {seconds[name] / seconds['fused']:.1f}x" for name in ("loop", "foreach"))
    print(f"AdamW fused {seconds['fused'] * 1e3:.1f} ms; {ratios}", flush=True)
    return seconds


def step(network: AudioVisualNetwork, batch: Batch, route: Route) -> None:
    """Forward and backward."""
    network.zero_grad()
    network(batch.visual, batch.audio, route).sum().backward()


def checkpointing(
    name: str, network: AudioVisualNetwork, batch: Batch, route: Route, repeats: int
) -> dict[str, dict[str, float]]:
    """Bytes and seconds without and with it; bytes are for each video and time step."""
    forms = {"plain": network, "checkpointing": copy.deepcopy(network)}
    forms["checkpointing"].checkpoint_cells()
    seconds = in_turns({form: partial(step, each, batch, route) for form, each in forms.items()}, repeats)
    places = batch.visual.shape[0] * batch.visual.shape[1]
    found = {}
    for form, each in forms.items():
        each.zero_grad()
        kept = saved_bytes(each, batch, route) / places
        step(each, batch, route)
        peak = peak_bytes(partial(repeat, each, batch, route)) / places
        found[form] = {"seconds": seconds[form], "saved": kept, "at most alive": peak}
        each.zero_grad()
    ratios = {key: found["plain"][key] / found["checkpointing"][key] for key in found["plain"]}
    print(
        f"{name:12} checkpointing: saved {ratios['saved']:.1f} times less, at most alive {ratios['at most alive']:.1f} "
        f"times less ({found['plain']['at most alive']:.0f} bytes before), {1 / ratios['seconds']:.2f} times the time",
        flush=True,
    )
    return found


def repeat(network: AudioVisualNetwork, batch: Batch, route: Route) -> None:
    """Forward and backward into gradients that are there already, so that activations are what is counted."""
    network(batch.visual, batch.audio, route).sum().backward()


def compiled(network: AudioVisualNetwork, batch: Batch, route: Route, repeats: int) -> dict[str, float]:
    """Seconds without and with it, and of the first step, which compiles."""
    other = copy.deepcopy(network)
    compile_network(other)
    start = time.process_time(), time.perf_counter()
    step(other, batch, route)
    first = {"cpu": time.process_time() - start[0], "wall": time.perf_counter() - start[1]}
    seconds = in_turns(
        {"plain": partial(step, network, batch, route), "compiled": partial(step, other, batch, route)}, repeats
    )
    print(
        f"compiled, single path: {seconds['compiled'] / seconds['plain']:.2f} times the time, first step "
        f"{first['wall']:.0f} s",
        flush=True,
    )
    return {**seconds, "first step": first["wall"]}


if __name__ == "__main__":
    main()
