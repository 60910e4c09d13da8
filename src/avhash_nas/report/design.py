"""An architecture as it is to be drawn, and where each of its modules goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from avhash_nas.errors import AvnasError
from avhash_nas.networks import network_graph
from avhash_nas.space import Architecture, Cell

_MAPS = {"up": "Up", "up_gate": "Up'", "down": "Down"}


@dataclass(frozen=True)
class Design:
    """An architecture and what is known of it.

    Attributes:
        title: What it is.
        architecture: The candidate of every cell.
        expand: Of the space: factor of the Up maps; None where there are no Up and Down.
        bits: q, if the network is known.
        weights: How sure the choice of a cell's candidate was, in [0, 1], by cell; cells may be left out.
        meaning: Of the weights.
    """

    title: str
    architecture: Architecture
    expand: int | None = 2
    bits: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    meaning: str = "its probability"

    @property
    def modalities(self) -> tuple[str, ...]:
        """`visual`, `audio` or both."""
        present = {Cell(name, (candidate,)).modality for name, candidate in self.architecture.items()}
        return tuple(name for name in ("visual", "audio") if name in present)

    def fixed(self, module: str) -> str:
        """Words for a module of the network that is no cell: features, linear maps, the hash layer."""
        leaf = module.rpartition(".")[2]
        if leaf in _MAPS:
            inner = f"{self.expand}D" if leaf != "down" and self.expand != 1 else "D"
            return f"no {_MAPS[leaf]}" if self.expand is None else f"{_MAPS[leaf]} to {inner}"
        if module == "hash":
            return "mean over time, FC, tanh" + (f": {self.bits} bits" if self.bits else "")
        return module.replace("_input", " features")


def load_design(path: str | Path) -> Design:
    """The architecture in a JSON file; with what the run knows of it, if that is a run's, or the path a run's folder.

    Raises:
        AvnasError: There is none, or the run has not chosen one yet.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if not (folder / "config.yaml").exists() and not path.is_dir():
        return Design(path.name, Architecture.load(path))
    from avhash_nas.report.run import RunRecord

    design = RunRecord(folder).design
    if design is None:
        raise AvnasError(f"{path}: no architecture is chosen here yet")
    alone = design.architecture if path.is_dir() else Architecture.load(path)
    return design if alone == design.architecture else Design(path.name, alone)


def differing(designs: Sequence[Design]) -> tuple[str, ...]:
    """Cells that several of the designs have, and not with the same candidate in all of them."""
    names = dict.fromkeys(cell for design in designs for cell in design.architecture)
    chosen = {cell: [each.architecture[cell] for each in designs if cell in each.architecture] for cell in names}
    return tuple(cell for cell, candidates in chosen.items() if len(set(candidates)) > 1)


class Place(NamedTuple):
    """Where a box lies, in inches from the upper left corner of its drawing.

    Args:
        x: Of its center.
        y: Of its center, downwards.
        width: Of the box.
        height: Of the box.
        column: `visual.main`, `visual.gate`, `audio.main`, `audio.gate` or `middle`.
    """

    x: float
    y: float
    width: float
    height: float
    column: str


WIDTH, HEIGHT, PITCH = 4.9, 8.1, 0.5
"""Of the drawing of one architecture, and from one row of boxes to the next; inches."""

ROWS = {
    **{"input": 0, "up": 0.9, "up_gate": 0.9, "M1": 1.75, "U1": 2.75, "U2": 2.75, "M2": 3.75, "D1": 4.75, "down": 5.6},
    **{"U3": 6.45, "M3": 7.7, "D2": 8.7, "U4": 9.7, "I1": 11.2, "I2": 11.2, "S": 11.2, "F": 12.35, "T": 13.45},
    "hash": 14.4,
}
"""In which row a module lies, by its name within its encoder."""

_BOX, _TEXT, _TOP = 0.36, 0.2, 0.62
_GATE = {"up_gate", "U2"}
_FIXED = {"input", "up", "up_gate", "down", "hash"}
_COLUMNS = {
    "visual.gate": (0.54, 0.82),
    "visual.main": (1.7, 1.3),
    "middle": (WIDTH / 2, 1.3),
    "audio.main": (WIDTH - 1.7, 1.3),
    "audio.gate": (WIDTH - 0.54, 0.82),
}
"""Center and width."""


def places(modalities: Sequence[str]) -> dict[str, Place]:
    """Where every module of a network goes, by its name in the wiring."""
    behind = "middle" if len(modalities) > 1 else f"{modalities[0]}.main"
    return {step.module: _place(step.module, behind) for step in network_graph(modalities)}


def row_at(row: float) -> float:
    """How far below the upper edge a row's center lies, in inches."""
    return _TOP + PITCH * row


def _place(module: str, behind: str) -> Place:
    modality, _, leaf = module.replace("_input", ".input").rpartition(".")
    column = f"{modality}.{'gate' if leaf in _GATE else 'main'}" if modality else behind
    column = {"I1": "visual.main", "I2": "audio.main"}.get(leaf, column)
    x, width = _COLUMNS[column]
    return Place(x, row_at(ROWS[leaf]), width, _TEXT if leaf in _FIXED else _BOX, column)
