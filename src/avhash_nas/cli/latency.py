"""`avnas latency`: measure the latency of each candidate on this machine."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from avhash_nas.cli.counting import counting
from avhash_nas.cli.parser import make_parser
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_json
from avhash_nas.versions import versions

if TYPE_CHECKING:
    from avhash_nas.networks import LatencyTable


def measure(
    out: str,
    space: str = "full",
    width: int = 768,
    heads: int = 12,
    states: int = 16,
    rank: int = 4,
    bits: int = 64,
    visual_dim: int = 768,
    audio_dim: int = 768,
    head_hidden: int = 0,
    batch: int = 32,
    frames: int = 25,
    repeats: int = 20,
    warmup: int = 3,
    check: int = 3,
    device: str = "auto",
) -> None:
    """Measure each candidate of each kind of cell on this machine, for a search with a latency objective.

    Times are medians of inference (evaluation mode, no gradient, float32) for one video, in a batch. `fit
    --strategy=proxylessnas --strategy.latency=FILE` reads the file.

    Args:
        out: JSON file to write.
        space: Name of a preset, or a JSON file with a space.
        width: Model width D, as `fit --network.width`.
        heads: Attention heads, as `fit --network.heads`.
        states: States of an SSM channel, as `fit --network.states`.
        rank: Rank of an SSM's step sizes, as `fit --network.rank`.
        bits: Code length q.
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        head_hidden: Hidden layer of the hash layer, as `fit --network.head_hidden`.
        batch: Videos in a pass.
        frames: Time steps T of a video.
        repeats: Number of timings; the table holds their median.
        warmup: Timings before these, which are discarded.
        check: Random architectures that are measured whole as well, to see how well the sum of the parts holds.
        device: cpu, cuda, or cuda:1 for the second GPU; auto uses a GPU if there is one.
    """
    import numpy as np

    from avhash_nas.networks import measure_latency, measure_network
    from avhash_nas.space import load_space

    search_space = load_space(space)
    arguments = {"visual_dim": visual_dim, "audio_dim": audio_dim, "bits": bits, "width": width, "heads": heads}
    arguments |= {"states": states, "rank": rank, "head_hidden": head_hidden}
    conditions = _conditions(device)
    random = np.random.default_rng(0)
    with counting("latency", "timings") as progress:
        table = measure_latency(
            *(search_space, arguments),
            batch=batch,
            frames=frames,
            repeats=repeats,
            warmup=warmup,
            device=conditions["device"],
            progress=progress,
        )
        for _ in range(check):
            table = measure_network(table, search_space, search_space.sample(random), arguments)
    table = replace(table, conditions={**table.conditions, **conditions, "versions": versions()})
    write_json(Path(out), table.to_dict())
    _print(table, out)


def _conditions(device: str) -> dict[str, Any]:
    """The conditions that the times depend on, besides the network.

    Raises:
        AvnasError: There is no such device.
    """
    import torch

    resolved = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if resolved.partition(":")[0] not in ("cpu", "cuda"):
        raise AvnasError(f"--device must be auto, cpu, cuda or cuda:N, got {device}")
    try:
        torch.zeros(1, device=resolved)
        name = torch.cuda.get_device_name(resolved) if resolved.startswith("cuda") else _processor()
    except (RuntimeError, AssertionError) as error:
        raise AvnasError(f"--device {device}: {str(error).splitlines()[0]}") from error
    return {"machine": platform.node(), "device": resolved, "device_name": name, "threads": torch.get_num_threads()}


def _processor() -> str:
    """Model name of the processor, as far as the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _print(table: "LatencyTable", out: str) -> None:
    """Print the table, the fixed part, and how well it predicts whole networks."""
    conditions = table.conditions
    shown = Table(
        title=f"microseconds for one video: D = {table.network['width']}, T = {conditions['frames']}, "
        f"batches of {conditions['batch']}, median of {conditions['repeats']}",
        caption=f"{conditions['device_name']}, {conditions['threads']} threads",
    )
    shown.add_column("cell @ width")
    shown.add_column("candidate")
    shown.add_column("time", justify="right")
    for place, times in {**table.cells, "fixed": table.fixed}.items():
        _add(shown, place, times)
    console = Console()
    console.print(shown)
    for each in table.check:
        ratio = each["measured"] / each["table"]
        console.print(
            f"a random architecture: {each['table'] * 1e6:,.1f} by the table, {each['measured'] * 1e6:,.1f} measured "
            f"whole, {ratio:.2f} times"
        )
    console.print(f"wrote {out}", soft_wrap=True)


def _add(shown: Table, place: str, times: Mapping[str, float]) -> None:
    for number, (name, seconds) in enumerate(times.items()):
        shown.add_row("" if number else place, name, f"{seconds * 1e6:,.2f}", end_section=number == len(times) - 1)


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = make_parser("latency", "Measure the latency of each candidate on this machine.")
    parser.add_function_arguments(measure, as_positional=False)
    options = parser.parse(arguments).as_dict()
    options.pop("config")
    least = {"width": 1, "heads": 1, "states": 1, "rank": 1, "bits": 1, "visual_dim": 1, "audio_dim": 1}
    least |= {"head_hidden": 0, "batch": 1, "frames": 1, "repeats": 1, "warmup": 0, "check": 0}
    for name, smallest in least.items():
        if options[name] < smallest:
            raise AvnasError(f"--{name} must be at least {smallest}, got {options[name]}")
    measure(**options)
    return 0
