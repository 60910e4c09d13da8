"""An architecture to draw, and the position of each of its modules in the drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from avhash_nas.errors import AvnasError
from avhash_nas.networks import network_graph
from avhash_nas.results import RunRecord
from avhash_nas.space import Architecture, Cell

_MAPS = {"up": "Up", "up_gate": "Up'", "down": "Down"}


@dataclass(frozen=True)
class Design:
    """An architecture with what a drawing of it shows.

    Attributes:
        title: Title.
        architecture: The candidate of every cell.
        expand: Factor of the Up maps; None if there are no Up and Down.
        bits: Code length q, if known.
        weights: How certain the choice of a cell's candidate was, in [0, 1], by cell; cells may be missing.
        meaning: Meaning of the weights.
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
        """Text for a module that is not a cell: features, linear maps, the hash layer."""
        leaf = module.rpartition(".")[2]
        if leaf in _MAPS:
            inner = f"{self.expand}D" if leaf != "down" and self.expand != 1 else "D"
            return f"no {_MAPS[leaf]}" if self.expand is None else f"{_MAPS[leaf]} to {inner}"
        if module == "hash":
            return "mean over time, FC, tanh" + (f": {self.bits} bits" if self.bits else "")
        return module.replace("_input", " features")


def design_of_run(record: RunRecord) -> Design | None:
    """The chosen architecture of a run; None if none is chosen yet, or if the network has no cells."""
    if record.architecture is None:
        return None
    expand = 2 if record.space is None else record.space.expand
    return Design(record.title, record.architecture, expand, record.options.get("bits"), *record.certainty)


def load_design(path: str | Path) -> Design:
    """The architecture of a JSON file or of a run's folder; with the run's data if the file belongs to a run.

    Raises:
        AvnasError: There is no architecture, or the run has not chosen one yet.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if not (folder / "config.yaml").exists() and not path.is_dir():
        return Design(path.name, Architecture.load(path))
    design = design_of_run(RunRecord(folder))
    if design is None:
        raise AvnasError(f"{path}: no architecture is chosen here yet")
    architecture = design.architecture if path.is_dir() else Architecture.load(path)
    return design if architecture == design.architecture else Design(path.name, architecture)


def differing(designs: Sequence[Design]) -> tuple[str, ...]:
    """Cells that several designs have with different candidates."""
    names = dict.fromkeys(cell for design in designs for cell in design.architecture)
    candidates = {cell: {each.architecture[cell] for each in designs if cell in each.architecture} for cell in names}
    return tuple(cell for cell in names if len(candidates[cell]) > 1)


class Place(NamedTuple):
    """Position and size of a box, in inches from the upper left corner of the drawing.

    Args:
        x: Center of the box.
        y: Center of the box, downwards.
        width: Width of the box.
        height: Height of the box.
        column: `visual.main`, `visual.gate`, `audio.main`, `audio.gate` or `middle`.
    """

    x: float
    y: float
    width: float
    height: float
    column: str


WIDTH, HEIGHT, PITCH = 4.9, 8.1, 0.5
"""Size of the drawing of one architecture, and distance of two rows of boxes, in inches."""

ROWS = {
    **{"input": 0, "up": 0.9, "up_gate": 0.9, "M1": 1.75, "U1": 2.75, "U2": 2.75, "M2": 3.75, "D1": 4.75, "down": 5.6},
    **{"U3": 6.45, "M3": 7.7, "D2": 8.7, "U4": 9.7, "I1": 11.2, "I2": 11.2, "S": 11.2, "F": 12.35, "T": 13.45},
    "hash": 14.4,
}
"""Row of a module, by its name within its encoder."""

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
"""Center and width of each column."""


def places(modalities: Sequence[str]) -> dict[str, Place]:
    """The place of every module of a network, by its name in the graph."""
    after_encoders = "middle" if len(modalities) > 1 else f"{modalities[0]}.main"
    return {node.module: _place(node.module, after_encoders) for node in network_graph(modalities)}


def row_at(row: float) -> float:
    """Distance of a row's center from the upper edge, in inches."""
    return _TOP + PITCH * row


def _place(module: str, after_encoders: str) -> Place:
    modality, _, leaf = module.replace("_input", ".input").rpartition(".")
    column = f"{modality}.{'gate' if leaf in _GATE else 'main'}" if modality else after_encoders
    column = {"I1": "visual.main", "I2": "audio.main"}.get(leaf, column)
    x, width = _COLUMNS[column]
    return Place(x, row_at(ROWS[leaf]), width, _TEXT if leaf in _FIXED else _BOX, column)
