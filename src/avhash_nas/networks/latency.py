"""How long each candidate takes for one video: a table measured on one machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
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
