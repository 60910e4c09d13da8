"""What a search leaned to, epoch by epoch, and which architectures it had scored: two CSV files in its folder."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
from lightning.pytorch.callbacks import Callback

from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.space import Architecture
from avhash_nas.strategies import SearchStrategy
from avhash_nas.strategies.protocols import search_progress

Probabilities = dict[str, dict[str, float]]
"""By cell, by candidate."""


class Choices(Callback):
    """Writes `probabilities.csv`: epoch, and `CELL=CANDIDATE`, how probable the strategy finds that candidate.

    Numbers are those of the epoch's last validation, with averaged weights if there are any, as the derived
    architecture is that; in an epoch without validation, those of its end. The rows lie in the checkpoint, as those of
    History do. A strategy that has no probabilities leaves no file.

    Args:
        folder: Of the stage.
        strategy: Is asked.

    Attributes:
        rows: One mapping an epoch, by the names of the columns.
    """

    def __init__(self, folder: Path, strategy: SearchStrategy) -> None:
        self.path = folder / "probabilities.csv"
        self.strategy = strategy
        self.rows: list[dict[str, float]] = []
        self._validated: dict[str, float] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, and what was seen at a validation within the present epoch."""
        return {"rows": self.rows, "validated": self._validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.rows, self._validated = state_dict["rows"], state_dict["validated"]

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Ask while the averaged weights are in place."""
        if not trainer.sanity_checking:
            self._validated = self._ask(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Add the row and rewrite the file."""
        row = self._ask(trainer) if self._validated is None else self._validated
        self._validated = None
        if not row:
            return
        self.rows.append({"epoch": float(trainer.current_epoch), **row})
        if trainer.is_global_zero:
            names = dict.fromkeys(name for row in self.rows for name in row)
            _write_rows(self.path, [*names], ({**row, "epoch": int(row["epoch"])} for row in self.rows))

    def _ask(self, trainer: L.Trainer) -> dict[str, float]:
        return {
            f"{cell}={candidate}": round(value, 6)
            for cell, values in self.strategy.probabilities(search_progress(trainer)).items()
            for candidate, value in zip(self.strategy.space[cell].candidates, values, strict=True)
        }


def read_probabilities(path: Path) -> dict[int, Probabilities]:
    """What `Choices` wrote, by epoch.

    Raises:
        AvnasError: The file cannot be read or holds something else.
    """
    found: dict[int, Probabilities] = {}
    for row in _read_rows(path):
        try:
            cells: Probabilities = found.setdefault(int(row.pop("epoch")), {})
            for column, value in row.items():
                if not value:
                    continue  # the strategy knew nothing of the cell in this epoch
                cell, _, candidate = column.partition("=")
                cells.setdefault(cell, {})[candidate] = float(value)
        except (KeyError, ValueError) as error:
            raise AvnasError(f"{path}: is no table of probabilities: {error}") from error
    return found


class EvaluatedArchitecture(NamedTuple):
    """An architecture that a strategy had scored before it chose.

    Args:
        round: Number of the strategy's question, from 0; of an evolution, the generation.
        weights: Whose weights it was scored with: `shared`, the supernet's, or `own`, trained alone.
        score: mAP@100 `retrieved` on val.
        architecture: What was scored.
    """

    round: int
    weights: str
    score: float
    architecture: Architecture


def write_evaluations(path: Path, evaluations: Sequence[EvaluatedArchitecture]) -> None:
    """Write one row an architecture: round, weights, score, and the candidate of each cell."""
    rows = ({**each._asdict(), **each.architecture} for each in evaluations)
    _write_rows(path, ["round", "weights", "score", *evaluations[0].architecture], rows)


def read_evaluations(path: Path) -> tuple[EvaluatedArchitecture, ...]:
    """What `write_evaluations` wrote.

    Raises:
        AvnasError: The file cannot be read or holds something else.
    """
    try:
        return tuple(
            EvaluatedArchitecture(int(row.pop("round")), row.pop("weights"), float(row.pop("score")), Architecture(row))
            for row in _read_rows(path)
        )
    except (KeyError, ValueError) as error:
        raise AvnasError(f"{path}: is no table of scored architectures: {error}") from error


def _write_rows(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    write_whole(path, write)


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise AvnasError(f"{path}: cannot be read: {error}") from error
