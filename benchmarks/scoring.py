"""Scoring many architectures at once against one after the other, in one process.

python benchmarks/scoring.py --help

Synthetic data, or a dataset given by --root, and a supernet trained for a moment, so that scores differ. The
architectures: those that SPOS's evolution meets, scored generation by generation and all in one call, and as many
random ones. The plain way, measured on a sample of them: the supernet on one route after the other, ranked by
`evaluate`; and pruning and a Trainer's validation. "Ratio of whole cells" is what follows from the numbers of distinct
inputs of each cell and its share of the time: what sharing whole cells can give.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from avhash_nas.codes import pack
from avhash_nas.data import ClassBalanced, HashingData, write_synthetic
from avhash_nas.metrics import evaluate, ids_from_names
from avhash_nas.networks import AudioVisualNetwork, prune
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.objectives import InfoNCE
from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring
from avhash_nas.results import kendall_tau
from avhash_nas.space import Architecture, SearchSpace, load_space
from avhash_nas.strategies.evolution import evolve
from avhash_nas.training import HashingModule
from measuring import parse, write_json

Scores = list[dict[str, float]]


def main() -> None:
    """Measure, print, write JSON."""
    options = parse_options()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(Path(folder), options)
        supernet = train(data, options)
        result = measure(supernet, data, options)
    print(table(result))
    write_json("scoring", result, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="", help="dataset to take instead of a synthetic one")
    parser.add_argument("--space", default="full", help="preset or JSON file")
    parser.add_argument("--width", type=int, default=64, help="D")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--database", type=int, default=16, help="videos of each class that are searched")
    parser.add_argument("--queries", type=int, default=8, help="videos of each class that query")
    parser.add_argument("--batch", type=int, default=160, help="videos in a batch")
    parser.add_argument("--steps", type=int, default=200, help="weight steps of the supernet")
    parser.add_argument("--generations", type=int, default=20, help="of 50 architectures")
    parser.add_argument("--sample", type=int, default=40, help="architectures that are scored the plain way")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    return parse(parser, steps=50, generations=3, sample=10)


def make_data(folder: Path, options: argparse.Namespace) -> HashingData:
    root = options.root or write_synthetic(
        folder / "data",
        **{"classes": options.classes, "train": options.database, "val": options.queries, "test": 1},
        **{"visual_dim": options.width, "audio_dim": options.width // 2, "seed": options.seed},
    )
    sampling = ClassBalanced(classes=min(8, options.classes), videos=8)
    return HashingData(root, folder / "cache", sampling, eval_batch_size=options.batch, seed=options.seed).prepare()


def train(data: HashingData, options: argparse.Namespace) -> AudioVisualNetwork:
    """A supernet, trained on one random route a step."""
    torch.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
    space = load_space(options.space)
    supernet = AudioVisualNetwork(
        data.visual_dim, data.audio_dim, 64, space, width=options.width, heads=options.heads, identity_init=True
    ).to(options.device)
    optimizer = torch.optim.Adam(supernet.parameters(), lr=3e-4)
    objective = InfoNCE()
    rows = data.splits["train"]
    epoch = data.sampling.batches_per_epoch(data.labels[rows])
    for step in range(options.steps):
        batch = data.batch(rows[data.sampling.batch(data.labels[rows], options.seed, *divmod(step, epoch))])
        codes = supernet(*on(options.device, batch.visual, batch.audio), space.indices(space.sample(random)))
        loss = objective(codes, batch.labels.to(options.device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(supernet.parameters(), 1.0)
        optimizer.step()
    return supernet.eval()


def on(device: str, *tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.to(device) for tensor in tensors]


def measure(supernet: AudioVisualNetwork, data: HashingData, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds an architecture of every way to score, what is shared, and what fewer videos cost in fidelity."""
    count = 50 * options.generations

    def scorer(**scoring: float) -> ArchitectureScorer:
        return ArchitectureScorer(supernet, data, Scoring(**scoring), torch.device(options.device))

    exact = scorer(memory=options.memory)
    generations: list[float] = []

    def generation(architectures: Sequence[Architecture]) -> list[float]:
        scores, seconds = timed(lambda: exact.scores(architectures), options.device)
        generations.append(seconds)
        return [each["retrieved"] for each in scores]

    evolved = [
        scored.architecture
        for one in evolve(supernet.space, generation, options.seed, generations=options.generations).generations
        for scored in one
    ]
    random = sample(supernet.space, count, options.seed)
    result: dict[str, Any] = {"architectures": count, "rows": [], "parts": parts(supernet, data, evolved, random)}
    for name, architectures in (("evolution", evolved), ("random", random)):
        chosen = architectures[:: max(1, len(architectures) // options.sample)]
        plain, plain_seconds = timed(lambda: one_by_one(supernet, data, chosen), options.device)  # noqa: B023
        scores, seconds = timed(lambda: exact.scores(architectures), options.device)  # noqa: B023
        known = dict(zip(architectures, scores, strict=True))
        row = {"name": name, "plain": plain_seconds / len(chosen), "fast": seconds / len(architectures)}
        row["identical"] = [known[each] for each in chosen] == plain
        result["rows"].append(row)
        if name == "evolution":
            result["rows"].append({**row, "name": "evolution, by generation", "fast": sum(generations) / len(evolved)})
    few = random[:: max(1, count // 8)][:8]
    _, seconds = timed(lambda: pruned(supernet, data, few, options.device), options.device)
    result["prune and validate"] = seconds / len(few)
    result["fewer"] = fewer(scorer, random[:200], dict(zip(random, scores, strict=True)), data, options)
    return result


def timed(work: Callable[[], Any], device: str) -> tuple[Any, float]:
    """What some work returns, and its seconds: CPU time on a CPU, which other processes do not lengthen."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    done = work()
    return done, clock() - start


def sample(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    random = np.random.default_rng((seed, 1))
    return [space.sample(random) for _ in range(count)]


@torch.inference_mode()
def one_by_one(supernet: AudioVisualNetwork, data: HashingData, architectures: Sequence[Architecture]) -> Scores:
    """The supernet on one route after the other."""
    device = str(next(supernet.parameters()).device)
    ids = ids_from_names(data.ids)
    found: Scores = []
    for architecture in architectures:
        route = supernet.space.indices(architecture)
        videos: list[torch.Tensor] = []
        for rows in (data.splits["val"], data.splits[data.database]):
            codes = []
            for part in np.array_split(rows, -(-len(rows) // data.eval_batch_size)):
                batch = data.batch(part)
                codes.append(pack(supernet(*on(device, batch.visual, batch.audio), route)).cpu())
            order = ids[rows].argsort()
            videos += [torch.cat(codes)[order], torch.from_numpy(data.labels[rows])[order]]
        scores = evaluate(*videos, ks=(100,), database_ids=ids[data.splits[data.database]].sort().values)
        found.append(scores.to_dict()["map@100"])
    return found


def pruned(supernet: AudioVisualNetwork, data: HashingData, architectures: Sequence[Architecture], device: str) -> None:
    """Each architecture as a plain network, validated by a Trainer."""
    trainer = L.Trainer(
        accelerator="cpu" if device == "cpu" else "auto",
        devices=1,
        **{"logger": False, "enable_progress_bar": False, "enable_model_summary": False},
    )
    for architecture in architectures:
        trainer.validate(HashingModule(prune(supernet, architecture)), data, verbose=False)


def parts(
    supernet: AudioVisualNetwork, data: HashingData, evolved: Sequence[Architecture], random: Sequence[Architecture]
) -> list[dict[str, Any]]:
    """Of each cell and map: its share of the plain way's time, and in how many distinct situations it runs."""
    seconds = {step.module: 0.0 for step in supernet.flat_graph()}
    handles, started = [], {}
    for name in seconds:
        module = supernet.get_submodule(name)
        handles += [
            module.register_forward_pre_hook(lambda *_, name=name: started.update({name: time.process_time()})),
            module.register_forward_hook(
                lambda *_, name=name: seconds.update({name: seconds[name] + time.process_time() - started[name]})
            ),
        ]
    one_by_one(supernet, data, random[::20])
    for handle in handles:
        handle.remove()
    upstream: dict[str, tuple[str, ...]] = {}
    for step in supernet.flat_graph():
        own = (step.module,) if isinstance(supernet.get_submodule(step.module), MixedCell) else ()
        upstream[step.module] = (*(cell for name in step.inputs for cell in upstream.get(name, ())), *own)
    return [
        {
            "part": name,
            "share": spent / sum(seconds.values()),
            **{
                kind: len({tuple(architecture[cell] for cell in upstream[name]) for architecture in architectures})
                / len(architectures)
                for kind, architectures in (("evolution", evolved), ("random", random))
            },
        }
        for name, spent in seconds.items()
    ]


def fewer(
    scorer: Callable[..., ArchitectureScorer],
    architectures: Sequence[Architecture],
    exact: dict[Architecture, dict[str, float]],
    data: HashingData,
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Part of the videos: seconds an architecture, and what the ranking of architectures loses."""
    rows = []
    full = [exact[each]["retrieved"] for each in architectures]
    for divisor in (2, 4, 8):
        queries, database = (len(data.splits[split]) // divisor for split in ("val", data.database))
        some = scorer(queries=queries, database=database, memory=options.memory)
        scores, seconds = timed(lambda: some.scores(architectures), options.device)  # noqa: B023
        part = [each["retrieved"] for each in scores]
        regret = max(full) - full[int(np.argmax(part))]
        tau = kendall_tau(part, full)
        rows.append({"part": f"1/{divisor}", "fast": seconds / len(architectures), "tau": tau, "regret": regret})
    return rows


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| architectures | one by one | at once | ratio | ratio of whole cells | scores identical |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        name = row["name"].split(",")[0]
        least = sum(part["share"] * part[name] for part in result["parts"])
        lines.append(
            f"| {result['architectures']} of {row['name']} | {row['plain'] * 1e3:.1f} ms | {row['fast'] * 1e3:.1f} ms "
            f"| {row['plain'] / row['fast']:.2f} | {1 / least:.2f} | {'yes' if row['identical'] else 'NO'} |"
        )
    random = result["rows"][-1]
    lines += ["", f"Pruned and validated by a Trainer, one by one: {result['prune and validate'] * 1e3:.1f} ms"]
    lines += ["", "| part | share of the time | distinct, evolution | distinct, random |", "|---|---|---|---|"]
    lines += [
        f"| {part['part']} | {part['share']:.3f} | {part['evolution']:.3f} | {part['random']:.3f} |"
        for part in result["parts"]
    ]
    lines += ["", "| queries and database | ratio | Kendall's tau | regret |", "|---|---|---|---|"]
    lines += [
        f"| {row['part']} | {random['plain'] / row['fast']:.1f} | {row['tau']:.2f} | {row['regret']:.4f} |"
        for row in result["fewer"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
