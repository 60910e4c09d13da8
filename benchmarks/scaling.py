"""How a step's time and memory grow, measured; and what GPUs hold and take at the paper's scale, computed from it.

python benchmarks/scaling.py --help

Times are CPU time of forward and backward by one thread, medians. Bytes are those of the tensors that a forward pass
keeps for its backward pass, exact, by `saved_bytes`; they grow by the same amount with each video. FLOPs are those that
torch's FlopCounterMode counts in a forward pass, a multiplication and an addition counting two; a backward pass takes
twice as many. What is computed for GPUs goes by bytes without the operators that are compiled for CPUs alone, which
keep less. With `--docs docs` the tables in docs/scaling.md are written anew, and the pictures beside it.
"""

import argparse
import dataclasses
import functools
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from avhash_nas.comparison.paper import paper_rows
from avhash_nas.networks import AudioVisualNetwork, Route, mixture_route
from avhash_nas.operators import find_operator
from avhash_nas.space import SearchSpace, load_space
from measuring import median_seconds, parse, write_json
from saved_bytes import random_batch, saved_bytes

FRAMES, BITS, STATES, RANK = 25, 64, 16, 48
CARDS = {"V100, 32 GB": (32e9, 15.7e12), "A100, 40 GB": (40e9, 19.5e12), "A100, 80 GB": (80e9, 19.5e12)}
"""Memory in bytes, and FLOP/s in float32 without tensor cores, as their maker states them."""
USABLE, REACHED = 0.9, 0.4
"""Assumed: the part of a card's memory that tensors can have, and the part of its FLOP/s that a step reaches."""
STATE_BYTES = 16
"""Of each parameter: itself, its gradient and two moments, in float32."""
VIDEOS = {"activitynet": 10_023, "fcvid": 45_508}
"""Of the training split: anchors of an epoch."""
BATCH, AUTHORS_FORWARDS = 128, 6
Table = list[list[str]]


def main() -> None:
    """Measure, compute, print, write JSON and, if asked to, the tables and pictures of docs/scaling.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=768, help="D of what is computed")
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--paths", type=int, default=16, help="single paths that a mean is taken over")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--times", nargs="+", type=int, default=[25, 50, 100, 200, 400, 800], help="T")
    parser.add_argument("--scale", action="store_true", help="only bytes and FLOPs of --width, as JSON")
    parser.add_argument("--docs", type=Path, default=None, help="folder of scaling.md")
    options = parse(parser, width=192, heads=4, paths=4, repeats=1, times=[25, 100, 400])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if options.scale:
        print(json.dumps(at_scale(options)))
        return
    results = {
        "time": over_time(options),
        "growth": {name: growth(name, options) for name in ("width", "videos", "candidates")},
        "scale": at_scale_on_gpus(options),
    }
    tables = {
        "time": time_table(results["time"]),
        **{name: growth_table(name, rows) for name, rows in results["growth"].items()},
        "memory": memory_table(results["scale"]),
        "epochs": epoch_table(results["scale"]),
        "ranks": rank_table(results["scale"]),
    }
    for name, rows in tables.items():
        print(f"\n{name}\n\n{markdown(rows)}", flush=True)
    write_json("scaling", results, options)
    if options.docs:
        write_docs(options.docs, tables, results)


def over_time(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Forward and backward of an attention and of an SSM alone on 4 videos of 128 channels, for each T."""
    operators = {
        "attention": find_operator("M", "self_attention")(width=128, heads=4, dropout=0.0),
        "ssm": find_operator("M", "self_ssm")(width=128, states=STATES, rank=8),
    }
    rows = []
    for frames in options.times:
        x = torch.randn(4, frames, 128, requires_grad=True)
        for name, operator in operators.items():
            run = functools.partial(forward_backward, operator, x)
            rows.append({"operator": name, "frames": frames, "seconds": median_seconds(run, options.repeats)})
            rows[-1]["bytes"] = kept_bytes(operator, x)
    return rows


def forward_backward(operator: nn.Module, x: Tensor) -> None:
    operator(x).sum().backward()


def kept_bytes(operator: nn.Module, x: Tensor) -> int:
    """Bytes of activations that one operator keeps."""
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        y = operator(x)
    for parameter in operator.parameters():
        held.pop(parameter.untyped_storage().data_ptr(), None)
    del y
    return sum(held.values())


def supernet(width: int, heads: int, space: SearchSpace) -> AudioVisualNetwork:
    return AudioVisualNetwork(width, width, BITS, space, width=width, heads=heads)


def routes_of(space: SearchSpace, paths: int) -> dict[str, list[Route]]:
    """The mixture of all candidates, and some single paths."""
    alphas = {cell.name: torch.zeros(len(cell.candidates), requires_grad=True) for cell in space.cells}
    random = np.random.default_rng(0)
    single = [space.indices(space.sample(random)) for _ in range(paths)]
    return {"mixture": [mixture_route({name: alpha.softmax(0) for name, alpha in alphas.items()})], "single": single}


def growth(of: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds and bytes of a supernet's step for each size of one kind, the others being D = 64, 8 videos, all."""
    sizes = {"width": (64, 128, 256), "videos": (2, 4, 8, 16, 32), "candidates": (1, 2, 4, 8)}[of]
    rows = []
    for size in sizes:
        given = {"width": 64, "videos": 8, "candidates": 99} | {of: size}
        space = first_candidates(load_space("full"), given["candidates"])
        network = supernet(given["width"], 4, space)
        batch = random_batch(given["videos"], FRAMES, given["width"])
        row: dict[str, Any] = {of: size, "candidates_in_all": sum(len(cell.candidates) for cell in space.cells)}
        for name, routes in routes_of(space, 4).items():
            steps = [functools.partial(step, network, batch, route) for route in routes]
            row[f"{name}_seconds"] = statistics.mean(median_seconds(each, options.repeats) for each in steps)
            row[f"{name}_bytes"] = statistics.mean(saved_bytes(network, batch, route) for route in routes)
        rows.append(row)
    return rows


def first_candidates(space: SearchSpace, count: int) -> SearchSpace:
    return SearchSpace(tuple(dataclasses.replace(cell, candidates=cell.candidates[:count]) for cell in space.cells))


def step(network: AudioVisualNetwork, batch: Any, route: Route) -> None:
    network.zero_grad()
    network(batch.visual, batch.audio, route).sum().backward(retain_graph=True)


def at_scale_on_gpus(options: argparse.Namespace) -> dict[str, Any]:
    """What `at_scale` finds in a process that leaves out the operators for CPUs."""
    given = ("--width", str(options.width), "--heads", str(options.heads), "--paths", str(options.paths))
    environment = {**os.environ, "AVNAS_NATIVE": "0"}
    command = [sys.executable, __file__, "--scale", *given]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)
    return found


def at_scale(options: argparse.Namespace) -> dict[str, Any]:
    """Bytes and FLOPs of a video at the paper's width, from one and from three videos; and parameters."""
    space = load_space("full")
    network = supernet(options.width, options.heads, space)
    results: dict[str, Any] = {
        "width": options.width,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    for name, routes in routes_of(space, options.paths).items():
        found = [measured(network, route, options.width) for route in routes]
        results[name] = {key: statistics.mean(each[key] for each in found) for key in found[0]}
        results[name]["most_bytes_per_video"] = max(each["bytes_per_video"] for each in found)
    network.checkpoint_cells()
    results["mixture, checkpointed"] = measured(network, routes_of(space, 1)["mixture"][0], options.width)
    return results


def measured(network: AudioVisualNetwork, route: Route, width: int) -> dict[str, float]:
    one, three = (saved_bytes(network, random_batch(videos, FRAMES, width), route) for videos in (1, 3))
    batch = random_batch(1, FRAMES, width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(batch.visual, batch.audio, route)
    each = (three - one) / 2
    return {"bytes_per_video": each, "fixed_bytes": one - each, "flops_per_video": counter.get_total_flops()}


def time_table(rows: list[dict[str, Any]]) -> Table:
    first = {row["operator"]: row for row in reversed(rows)}
    lines = [["T", "attention", "of the first", "bytes", "SSM", "of the first", "bytes"]]
    for attention, ssm in zip(rows[::2], rows[1::2], strict=True):
        cells = [str(attention["frames"])]
        for row in (attention, ssm):
            start = first[row["operator"]]
            cells += [f"{row['seconds'] * 1e3:.1f} ms", f"{row['seconds'] / start['seconds']:.1f}"]
            cells.append(f"{row['bytes'] / 1e6:.1f} MB, {row['bytes'] / start['bytes']:.1f}")
        lines.append(cells)
    return lines


def growth_table(of: str, rows: list[dict[str, Any]]) -> Table:
    told = {"width": "D", "videos": "videos", "candidates": "candidates a cell, at most (in all)"}[of]
    lines = [[told, "mixture", "of the first", "kept", "single path", "of the first", "kept"]]
    for row in rows:
        cells = [f"{row[of]} ({row['candidates_in_all']})" if of == "candidates" else str(row[of])]
        for name in ("mixture", "single"):
            seconds, size = row[f"{name}_seconds"], row[f"{name}_bytes"]
            cells += [f"{seconds * 1e3:.0f} ms", f"{seconds / rows[0][f'{name}_seconds']:.1f}", f"{size / 1e6:.0f} MB"]
        lines.append(cells)
    return lines


def memory_table(scale: Mapping[str, Any]) -> Table:
    """Of each way to run the supernet: bytes of a video, and the largest batch that a card holds.

    Not of checkpointing: beside what is kept there is a cell that runs again, which `saved_bytes` does not see.
    """
    states = STATE_BYTES * scale["parameters"]
    lines = [["", "kept a video", "weights, gradients, Adam", f"{BATCH} videos in all", *CARDS]]
    for name in ("mixture", "single"):
        each, fixed = scale[name]["bytes_per_video"], scale[name]["fixed_bytes"] + states
        most = [max(0, int((USABLE * memory - fixed) // each)) for memory, _ in CARDS.values()]
        told = [f"{each / 1e6:.1f} MB", f"{states / 1e9:.1f} GB", f"{(fixed + BATCH * each) / 1e9:.1f} GB"]
        lines.append(["single path, mean" if name == "single" else name, *told, *(f"{videos:,}" for videos in most)])
    return lines


def passes(scale: Mapping[str, Any], videos: int) -> dict[str, float]:
    """FLOPs of an epoch of each strategy's search, with its default options and in-batch anchors.

    A forward pass counts once and a backward pass twice. DARTS and GDAS take an architecture step on as many held-out
    videos before each weight step; of second order that takes four gradients. ENAS rewards 30 x 10 architectures an
    epoch with a forward pass of a batch each; ProxylessNAS takes an architecture step after every fifth weight step,
    after a warm-up, in which two candidates run, one of them forward only.
    """
    mixture, single = scale["mixture"]["flops_per_video"], scale["single"]["flops_per_video"]
    return {
        "AV-NAS": 3 * mixture * videos,
        "DARTS": (3 + 3) * mixture * videos,
        "DARTS, second order": (3 + 4 * 3) * mixture * videos,
        "GDAS": (3 + 3) * single * videos,
        "SPOS": 3 * single * videos,
        "ENAS": 3 * single * videos + 30 * 10 * single * BATCH,
        "ProxylessNAS": (3 + (3 + 1) / 5) * single * videos,
    }


IN_PAPER = {"AV-NAS": "Arch-1", "DARTS": "DARTS", "SPOS": "SPOS", "ENAS": "ENAS", "ProxylessNAS": "ProxylessNAS"}


def epoch_table(scale: Mapping[str, Any]) -> Table:
    """Seconds an epoch, computed for two cards and as printed in Table 2."""
    cards = {name.partition(",")[0]: rate for name, (_, rate) in CARDS.items()}
    lines = [["", *(f"{data}, {card}" for data in ("ActivityNet", "FCVID") for card in (*cards, "paper"))]]
    costs = {data: passes(scale, videos) for data, videos in VIDEOS.items()}
    for name in costs["fcvid"]:
        cells = [name]
        for data, cost in costs.items():
            cells += [f"{cost[name] / (REACHED * rate):.0f} s" for rate in cards.values()]
            row = paper_rows(IN_PAPER[name], data)[0] if name in IN_PAPER else None
            cells.append(f"{row.value('supernet_epoch_s', BITS):.0f} s" if row else "")
        lines.append(cells)
    return lines


def rank_table(scale: Mapping[str, Any]) -> Table:
    """Of each number of ranks: bytes that a rank sends, and the time of that beside the time of its share of a step."""
    gradients = 4 * scale["parameters"]
    lines = [["ranks", "videos of a rank", "sent by each", "at 25 GB/s", "at 1.25 GB/s", "mixture's step on a V100"]]
    rate = REACHED * CARDS["V100, 32 GB"][1]
    for count in (1, 2, 4, 8):
        sent = 2 * (count - 1) / count * gradients
        compute = 3 * scale["mixture"]["flops_per_video"] * BATCH / count / rate
        times = [f"{sent / speed * 1e3:.0f} ms" for speed in (25e9, 1.25e9)]
        lines.append([str(count), str(BATCH // count), f"{sent / 1e9:.2f} GB", *times, f"{compute * 1e3:.0f} ms"])
    return lines


def markdown(rows: Table) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" + "--:|" * (len(rows[0]) - 1), *lines[1:]])


def write_docs(folder: Path, tables: Mapping[str, Table], results: Mapping[str, Any]) -> None:
    """Puts each table between its marks in scaling.md, and draws the pictures."""
    from avhash_nas.report.style import Picture, drawing, save

    page = folder / "scaling.md"
    text = page.read_text(encoding="utf-8")
    for name, rows in tables.items():
        marked = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text = re.sub(marked, lambda found, rows=rows: f"{found[1]}{markdown(rows)}\n{found[2]}", text, flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")
    pictures: dict[str, Callable[[Mapping[str, Any]], Any]] = {"scaling-time": draw_time, "scaling-memory": draw_memory}
    for name, draw in pictures.items():
        with drawing():
            figure = draw(results)
        save(Picture(name, name, "", figure, {}), folder)


def draw_time(results: Mapping[str, Any]) -> Any:
    """Seconds and bytes of attention and SSM against T, on logarithmic axes."""
    from avhash_nas.report.style import line_styles, new_figure

    figure = new_figure(9, 3.6)
    for axes, (key, label) in zip(figure.subplots(1, 2), (("seconds", "CPU time, s"), ("bytes", "bytes kept"))):
        for name, style in line_styles(["attention", "ssm"]).items():
            rows = [row for row in results["time"] if row["operator"] == name]
            axes.loglog([row["frames"] for row in rows], [row[key] for row in rows], **style, label=name)
        axes.set(xlabel="T, time steps", ylabel=label)
        axes.set_xticks(frames := [row["frames"] for row in results["time"][::2]], map(str, frames))
        axes.minorticks_off()
        axes.legend()
    return figure


def draw_memory(results: Mapping[str, Any]) -> Any:
    """Gigabytes of a step against the batch, with what the cards hold."""
    from avhash_nas.report.style import MUTED, line_styles, new_figure

    scale, batches = results["scale"], np.arange(8, 1025, 8)
    figure = new_figure(9, 4)
    axes = figure.subplots()
    names = {"mixture": "mixture", "single": "single path, mean"}
    for (name, told), style in zip(names.items(), line_styles(names).values(), strict=True):
        fixed = scale[name]["fixed_bytes"] + STATE_BYTES * scale["parameters"]
        sizes = (fixed + batches * scale[name]["bytes_per_video"]) / 1e9
        axes.plot(batches, sizes, **{**style, "markevery": 16}, label=told)
    for name, (memory, _) in CARDS.items():
        axes.axhline(USABLE * memory / 1e9, color=MUTED, linewidth=0.8)
        axes.annotate(f"{USABLE:.0%} of {name}", (8, USABLE * memory / 1e9), va="bottom", fontsize=8)
    axes.set(xlabel="videos in a batch", ylabel=f"GB, D = {scale['width']}", ylim=(0, 80))
    axes.legend(loc=(0.02, 0.55))
    return figure


if __name__ == "__main__":
    main()
