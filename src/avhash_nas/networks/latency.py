"""Latency of each candidate: a table measured on one machine."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.networks.audio_visual import AudioVisualNetwork
from avhash_nas.networks.encoder import CELLS
from avhash_nas.space import Architecture, Cell, SearchSpace

SIZES = ("width", "heads", "states", "rank")
"""Arguments of the network that determine the latency of a candidate."""


@dataclass(frozen=True)
class LatencyTable:
    """Seconds for one video, by context and candidate.

    Cells of one kind at one width hold the same operators and share their latencies: the context `M@1536` covers M1 and
    M2 of both encoders at D = 768 and expand 2. The latency of a network is the sum over its cells and its fixed part,
    as if nothing ran in parallel; `check` compares the sum with measured networks.

    Attributes:
        network: width, heads, states and rank of the measured networks.
        expand: E / D of the measured space.
        cells: Seconds for one video by context and candidate.
        fixed: Seconds for one video of the parts without choices: `visual` and `audio`, an encoder's input projection,
            Up and Down; `hash`, the hash layer.
        conditions: Other conditions of the measurement: machine, device, threads, batch, time steps, repeats, versions.
        check: Whole networks, each as {"cells": ..., "table": seconds, "measured": seconds}.
    """

    network: Mapping[str, int]
    expand: int | None
    cells: Mapping[str, Mapping[str, float]]
    fixed: Mapping[str, float]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    check: tuple[Mapping[str, Any], ...] = ()
    table_format: ClassVar[int] = 1

    def seconds(self, space: SearchSpace) -> dict[str, tuple[float, ...]]:
        """Returns the latencies of each cell's candidates, in order, by cell name.

        Raises:
            AvnasError: The table was measured for another inner width, or lacks a cell or a candidate.
        """
        if space.expand != self.expand:
            raise AvnasError(f"it was measured at expand {self.expand}, the space has expand {space.expand}")
        seconds = {}
        for cell in space.cells:
            key = context(cell, self.network["width"], space.expand)
            times = self.cells.get(key, {})
            if missing := [name for name in cell.candidates if name not in times]:
                raise AvnasError(f"it has no time of {', '.join(missing)} at {key}, for cell {cell.name}")
            seconds[cell.name] = tuple(times[name] for name in cell.candidates)
        return seconds

    def fixed_seconds(self, space: SearchSpace) -> float:
        """Returns the latency of the parts without choices.

        Raises:
            AvnasError: The table was measured without one of the space's modalities.
        """
        if missing := [name for name in space.modalities if name not in self.fixed]:
            raise AvnasError(f"it was measured without the {missing[0]} encoder")
        return sum(self.fixed[name] for name in (*space.modalities, "hash"))

    def total(self, space: SearchSpace, architecture: Architecture) -> float:
        """Returns the latency of an architecture: the sum over its cells and the fixed part."""
        seconds = self.seconds(space)
        chosen = space.indices(architecture)
        return self.fixed_seconds(space) + sum(seconds[name][position] for name, position in chosen.items())

    def check_network(self, arguments: Mapping[str, Any]) -> None:
        """Checks that the table was measured for networks of these sizes.

        Args:
            arguments: Arguments of the network's constructor; absent sizes are not compared.

        Raises:
            AvnasError: A size differs.
        """
        for name in SIZES:
            if name in arguments and arguments[name] != self.network[name]:
                raise AvnasError(f"it was measured at {name} {self.network[name]}, the network has {arguments[name]}")

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of the JSON file."""
        return {
            "format": self.table_format,
            "unit": "seconds per video",
            "network": dict(self.network),
            "expand": self.expand,
            "conditions": dict(self.conditions),
            "cells": {key: dict(times) for key, times in self.cells.items()},
            "fixed": dict(self.fixed),
            "check": [dict(entry) for entry in self.check],
        }

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a JSON file.

        Raises:
            AvnasError: The file cannot be read or holds something else.
        """
        data = read_json(path)
        if data.get("format") != cls.table_format:
            raise AvnasError(
                f"{path}: no latency table of format {cls.table_format}; `avnas latency --out {path}` writes one"
            )
        try:
            network = {name: int(data["network"][name]) for name in SIZES}
            cells = {key: _times(times) for key, times in data["cells"].items()}
            return cls(
                *(network, data["expand"], cells, _times(data["fixed"])), data["conditions"], tuple(data["check"])
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise AvnasError(f"{path}: a damaged latency table: {type(error).__name__}: {error}") from error


def _times(seconds: Mapping[str, Any]) -> dict[str, float]:
    """Checks seconds by name: numbers that are not negative."""
    for name, value in seconds.items():
        if not value >= 0:
            raise ValueError(f"{name} takes {value} seconds")
    return {name: float(value) for name, value in seconds.items()}


def context(cell: Cell, width: int, expand: int | None) -> str:
    """Returns the kind and the width of a cell, on which the latencies of its candidates depend.

    Args:
        cell: The cell.
        width: D.
        expand: E / D; None for a space without Up and Down.

    >>> context(Cell("visual.M1", ("skip",)), 768, 2), context(Cell("visual.M3", ("skip",)), 768, 2)
    ('M@1536', 'M@768')
    """
    return f"{cell.kind}@{cell_width(cell, width, expand)}"


def cell_width(cell: Cell, width: int, expand: int | None) -> int:
    """Returns the width of a cell's inputs: E in the cells before Down, D in the others."""
    return width * (expand or 1) if CELLS.get(cell.name.rpartition(".")[2], False) else width


Run = Callable[[], Tensor]
Progress = Callable[[int, int], None]
"""Called with the number of finished timings and of all timings."""

_TWO_INPUTS = "DIF"


def _ignore(done: int, total: int) -> None:
    """The default of `progress`."""


def representatives(space: SearchSpace, width: int) -> dict[str, Cell]:
    """Returns, by context, its first cell with the candidates of all cells of that context."""
    merged: dict[str, Cell] = {}
    for cell in space.cells:
        key = context(cell, width, space.expand)
        first = merged.get(key, cell)
        merged[key] = Cell(first.name, tuple(dict.fromkeys((*first.candidates, *cell.candidates))))
    return merged


def measure_latency(
    space: SearchSpace,
    arguments: Mapping[str, Any],
    *,
    batch: int = 32,
    frames: int = 25,
    repeats: int = 20,
    warmup: int = 3,
    device: str = "cpu",
    progress: Progress = _ignore,
) -> LatencyTable:
    """Measures every candidate of every context of a space, and the fixed part.

    The operators are those of a real network, in evaluation mode, without gradients, in float32. Each round runs all
    operators once, so that a slow phase of the machine affects them alike; a latency is the median over the rounds,
    divided by the batch. Cache effects between layers differ a little from a real pass: see `measure_network`.

    Args:
        space: The space to measure.
        arguments: Arguments of AudioVisualNetwork, without the space; width, heads, states and rank are recorded.
        batch: Videos in a pass.
        frames: T.
        repeats: Number of measured rounds.
        warmup: Number of rounds before them.
        device: torch's name of the device.
        progress: Called after each timing.

    Raises:
        AvnasError: A candidate cannot be built at these sizes.
    """
    width = int(arguments["width"])
    chosen = representatives(space, width)
    measured = {cell.name: cell for cell in chosen.values()}
    small = SearchSpace(
        tuple(measured.get(cell.name, Cell(cell.name, cell.candidates[:1])) for cell in space.cells), space.expand
    )
    network = AudioVisualNetwork(space=small, **arguments).to(device).eval()
    runs: dict[tuple[str, str], Run] = {
        (key, name): _bound(operator, batch, frames, cell_width(cell, width, space.expand), cell.kind, device)
        for key, cell in chosen.items()
        for name, operator in zip(cell.candidates, network.get_submodule(f"{cell.name}.operators").children())
    }
    fixed = _fixed_runs(network, batch, frames, arguments, device)
    runs |= {("fixed", name): run for name, run in fixed.items()}
    medians = _medians(runs, repeats, warmup, device, progress)
    return LatencyTable(
        network={name: network.arguments()[name] for name in SIZES},
        expand=space.expand,
        cells={key: {name: medians[key, name] / batch for name in cell.candidates} for key, cell in chosen.items()},
        fixed={name: medians["fixed", name] / batch for name in fixed},
        conditions={"device": device, "batch": batch, "frames": frames, "repeats": repeats, "dtype": "float32"},
    )


def measure_network(
    table: LatencyTable, space: SearchSpace, architecture: Architecture, arguments: Mapping[str, Any]
) -> LatencyTable:
    """Measures one whole network under the table's conditions and returns the table with one more `check`."""
    network = AudioVisualNetwork(space=space.fix(architecture), **arguments)
    device, batch = str(table.conditions["device"]), int(table.conditions["batch"])
    network.to(device).eval()
    shape = batch, int(table.conditions["frames"])
    inputs = [torch.randn(*shape, int(arguments[f"{name}_dim"]), device=device) for name in ("visual", "audio")]
    runs: dict[tuple[str, str], Run] = {("whole", "network"): lambda: network(*inputs)}
    (seconds,) = _medians(runs, int(table.conditions["repeats"]), 3, device, _ignore).values()
    entry = {**architecture.to_dict(), "table": table.total(space, architecture), "measured": seconds / batch}
    return replace(table, check=(*table.check, entry))


def _bound(operator: nn.Module, batch: int, frames: int, width: int, kind: str, device: str) -> Run:
    """Binds random inputs to an operator."""
    inputs = [torch.randn(batch, frames, width, device=device) for _ in range(2 if kind in _TWO_INPUTS else 1)]
    return lambda: operator(*inputs)


def _fixed_runs(
    network: AudioVisualNetwork, batch: int, frames: int, arguments: Mapping[str, Any], device: str
) -> dict[str, Run]:
    """The parts without choices: by encoder, and the hash layer."""
    width = int(arguments["width"])
    expand = network.space.expand or 1
    narrow = torch.randn(batch, frames, width, device=device)
    wide = torch.randn(batch, frames, width * expand, device=device)

    def encoder(name: str) -> Run:
        features = torch.randn(batch, frames, int(arguments[f"{name}_dim"]), device=device)
        project, body = network.get_submodule(f"{name}_input"), network.get_submodule(name)
        up, gate, down = (body.get_submodule(part) for part in ("up", "up_gate", "down"))

        def run() -> Tensor:
            project(features), up(narrow), gate(narrow)
            output: Tensor = down(wide)
            return output

        return run

    return {**{name: encoder(name) for name in network.space.modalities}, "hash": lambda: network.hash(narrow)}


@torch.inference_mode()
def _medians(
    runs: Mapping[tuple[str, str], Run], repeats: int, warmup: int, device: str, progress: Progress
) -> dict[tuple[str, str], float]:
    """Measures the median seconds of each run over the rounds."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for turn in range(-warmup, repeats):
        for position, (key, run) in enumerate(runs.items()):
            _wait(device)
            started = time.perf_counter()
            run()
            _wait(device)
            if turn >= 0:
                seconds[key].append(time.perf_counter() - started)
            progress((turn + warmup) * len(runs) + position + 1, (repeats + warmup) * len(runs))
    return {key: statistics.median(times) for key, times in seconds.items()}


def _wait(device: str) -> None:
    """Waits until a GPU is idle."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
