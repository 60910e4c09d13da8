"""How long each candidate takes for one video: a table measured on one machine."""

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
"""Arguments of the network that decide how long a candidate takes."""


@dataclass(frozen=True)
class LatencyTable:
    """Seconds for one video, by context and candidate.

    Cells of one kind at one width hold the same operators, so that they share their times: `M@1536` stands for M1 and
    M2 of both encoders at D = 768 and expand 2. The time of a network is taken to be the sum over its cells and its
    fixed part, as if nothing ran side by side; `check` says how well that holds.

    Attributes:
        network: width, heads, states and rank of the networks that it holds for.
        expand: Of the spaces that it holds for.
        cells: Seconds for one video by context and candidate.
        fixed: Seconds for one video of what no choice changes: `visual` and `audio`, the maps of an encoder's input, Up
            and Down; `hash`, the hash layer.
        conditions: What else the times depend on: machine, device, threads, batch, time steps, repeats, versions.
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
        """Time of each candidate, in the cell's order, by cell name.

        Raises:
            AvnasError: The table was measured for another inner width, or lacks a cell or a candidate.
        """
        if space.expand != self.expand:
            raise AvnasError(f"it was measured at expand {self.expand}, the space has expand {space.expand}")
        found = {}
        for cell in space.cells:
            place = context(cell, self.network["width"], space.expand)
            times = self.cells.get(place, {})
            if missing := [name for name in cell.candidates if name not in times]:
                raise AvnasError(f"it has no time of {', '.join(missing)} at {place}, for cell {cell.name}")
            found[cell.name] = tuple(times[name] for name in cell.candidates)
        return found

    def fixed_seconds(self, space: SearchSpace) -> float:
        """Time of what no choice changes.

        Raises:
            AvnasError: The table was measured without one of the space's modalities.
        """
        if missing := [name for name in space.modalities if name not in self.fixed]:
            raise AvnasError(f"it was measured without the {missing[0]} encoder")
        return sum(self.fixed[name] for name in (*space.modalities, "hash"))

    def total(self, space: SearchSpace, architecture: Architecture) -> float:
        """Time of one architecture of a space: the sum over its cells and the fixed part."""
        seconds = self.seconds(space)
        chosen = space.indices(architecture)
        return self.fixed_seconds(space) + sum(seconds[name][place] for name, place in chosen.items())

    def check_network(self, arguments: Mapping[str, Any]) -> None:
        """Make sure that the table was measured for networks of these sizes.

        Args:
            arguments: Of the network's constructor; those that it does not take are not compared.

        Raises:
            AvnasError: A size differs.
        """
        for name in SIZES:
            if name in arguments and arguments[name] != self.network[name]:
                raise AvnasError(f"it was measured at {name} {self.network[name]}, the network has {arguments[name]}")

    def to_dict(self) -> dict[str, Any]:
        """The form that JSON files hold."""
        return {
            "format": self.table_format,
            "unit": "seconds per video",
            "network": dict(self.network),
            "expand": self.expand,
            "conditions": dict(self.conditions),
            "cells": {place: dict(times) for place, times in self.cells.items()},
            "fixed": dict(self.fixed),
            "check": [dict(each) for each in self.check],
        }

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a JSON file.

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
            cells = {place: _times(times) for place, times in data["cells"].items()}
            return cls(
                *(network, data["expand"], cells, _times(data["fixed"])), data["conditions"], tuple(data["check"])
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise AvnasError(f"{path}: a damaged latency table: {type(error).__name__}: {error}") from error


def _times(found: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by name, each a number that is not negative."""
    for name, seconds in found.items():
        if not seconds >= 0:
            raise ValueError(f"{name} takes {seconds} seconds")
    return {name: float(seconds) for name, seconds in found.items()}


def context(cell: Cell, width: int, expand: int | None) -> str:
    """What the time of a cell's candidates depends on: kind of operation and width.

    Args:
        cell: The cell.
        width: D.
        expand: E / D; None where there is no Up and Down.

    >>> context(Cell("visual.M1", ("skip",)), 768, 2), context(Cell("visual.M3", ("skip",)), 768, 2)
    ('M@1536', 'M@768')
    """
    return f"{cell.kind}@{cell_width(cell, width, expand)}"


def cell_width(cell: Cell, width: int, expand: int | None) -> int:
    """Width of a cell's inputs: E in the cells before Down, D in the others."""
    return width * (expand or 1) if CELLS.get(cell.name.rpartition(".")[2], False) else width


Run = Callable[[], Tensor]
Progress = Callable[[int, int], None]
"""Told how many of how many timings are done."""

_TWO_INPUTS = "DIF"


def _untold(done: int, total: int) -> None:
    """Nobody wants to know."""


def representatives(space: SearchSpace, width: int) -> dict[str, Cell]:
    """By context, its first cell with the candidates of all cells of that context."""
    found: dict[str, Cell] = {}
    for cell in space.cells:
        place = context(cell, width, space.expand)
        first = found.get(place, cell)
        found[place] = Cell(first.name, tuple(dict.fromkeys((*first.candidates, *cell.candidates))))
    return found


def measure_latency(
    space: SearchSpace,
    arguments: Mapping[str, Any],
    *,
    batch: int = 32,
    frames: int = 25,
    repeats: int = 20,
    warmup: int = 3,
    device: str = "cpu",
    progress: Progress = _untold,
) -> LatencyTable:
    """Time every candidate of every context of a space once, and the fixed part.

    A network makes the operators, so that they are those which a search runs: evaluation mode, no gradient, float32.
    Each round runs all of them once, so that a slow moment of the machine meets all alike; a time is the median over
    the rounds, divided by the batch. What a candidate does in between others' layers, such as finding its weights in a
    cache, differs a little from a real pass: see `measure_network`.

    Args:
        space: What is measured.
        arguments: Of AudioVisualNetwork, without the space; width, heads, states and rank are recorded.
        batch: Videos in a pass.
        frames: T.
        repeats: Rounds that count.
        warmup: Rounds before them.
        device: torch's name of the device.
        progress: Called after each timing.

    Raises:
        AvnasError: A candidate cannot be built at these sizes.
    """
    width = int(arguments["width"])
    chosen = representatives(space, width)
    kept = {cell.name: cell for cell in chosen.values()}
    small = SearchSpace(
        tuple(kept.get(cell.name, Cell(cell.name, cell.candidates[:1])) for cell in space.cells), space.expand
    )
    network = AudioVisualNetwork(space=small, **arguments).to(device).eval()
    runs: dict[tuple[str, str], Run] = {
        (place, name): _bound(operator, batch, frames, cell_width(cell, width, space.expand), cell.kind, device)
        for place, cell in chosen.items()
        for name, operator in zip(cell.candidates, _operators(network, cell))
    }
    fixed = _fixed_runs(network, batch, frames, arguments, device)
    runs |= {("fixed", name): run for name, run in fixed.items()}
    medians = _medians(runs, repeats, warmup, device, progress)
    return LatencyTable(
        network={name: network.arguments()[name] for name in SIZES},
        expand=space.expand,
        cells={
            place: {name: medians[place, name] / batch for name in cell.candidates} for place, cell in chosen.items()
        },
        fixed={name: medians["fixed", name] / batch for name in fixed},
        conditions={"device": device, "batch": batch, "frames": frames, "repeats": repeats, "dtype": "float32"},
    )


def measure_network(
    table: LatencyTable, space: SearchSpace, architecture: Architecture, arguments: Mapping[str, Any]
) -> LatencyTable:
    """Time one whole network under the table's conditions, and note it beside what the table says of it.

    Returns:
        The table with one more `check`.
    """
    network = AudioVisualNetwork(space=space.fix(architecture), **arguments)
    device, batch = str(table.conditions["device"]), int(table.conditions["batch"])
    network.to(device).eval()
    shape = batch, int(table.conditions["frames"])
    inputs = [torch.randn(*shape, int(arguments[f"{name}_dim"]), device=device) for name in ("visual", "audio")]
    runs: dict[tuple[str, str], Run] = {("whole", "network"): lambda: network(*inputs)}
    (seconds,) = _medians(runs, int(table.conditions["repeats"]), 3, device, _untold).values()
    entry = {**architecture.to_dict(), "table": table.total(space, architecture), "measured": seconds / batch}
    return replace(table, check=(*table.check, entry))


def _operators(network: nn.Module, cell: Cell) -> list[nn.Module]:
    """The operators of a cell's candidates, in their order."""
    return list(network.get_submodule(f"{cell.name}.operators").children())


def _bound(operator: nn.Module, batch: int, frames: int, width: int, kind: str, device: str) -> Run:
    """The operator with inputs to run on."""
    inputs = [torch.randn(batch, frames, width, device=device) for _ in range(2 if kind in _TWO_INPUTS else 1)]
    return lambda: operator(*inputs)


def _fixed_runs(
    network: AudioVisualNetwork, batch: int, frames: int, arguments: Mapping[str, Any], device: str
) -> dict[str, Run]:
    """What runs whatever is chosen, by encoder, and the hash layer."""
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
    """Median seconds of each run over the rounds."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for turn in range(-warmup, repeats):
        for place, (key, run) in enumerate(runs.items()):
            _wait(device)
            started = time.perf_counter()
            run()
            _wait(device)
            if turn >= 0:
                seconds[key].append(time.perf_counter() - started)
            progress((turn + warmup) * len(runs) + place + 1, (repeats + warmup) * len(runs))
    return {key: statistics.median(times) for key, times in seconds.items()}


def _wait(device: str) -> None:
    """Let a GPU finish what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
