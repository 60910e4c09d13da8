"""Two CSV files of a search: the candidates' probabilities by epoch, and the architectures that were evaluated."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
from lightning.pytorch.callbacks import Callback
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.space import Architecture
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.strategy_callback import search_progress

Probabilities = dict[str, dict[str, float]]
"""By cell, by candidate."""


class ProbabilityLog(Callback):
    """Writes `probabilities.csv`: the epoch, and in the columns `CELL=CANDIDATE` the probability of each candidate.

    The values are those of the epoch's last validation, with averaged weights if there are any, like the derived
    architecture; in an epoch without validation, those at its end. The rows are part of the checkpoint, like those of
    EpochLog. For a strategy without probabilities no file is written.

    Args:
        folder: Of the stage.
        strategy: Search strategy.

    Attributes:
        rows: One mapping per epoch, by column name.
    """

    def __init__(self, folder: Path, strategy: SearchStrategy) -> None:
        self.path = folder / "probabilities.csv"
        self.strategy = strategy
        self.rows: list[dict[str, float]] = []
        self._validated: dict[str, float] | None = None

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "validated": self._validated}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self._validated = state_dict["rows"], state_dict["validated"]

    @override
    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read the probabilities while the averaged weights are in place."""
        if not trainer.sanity_checking:
            self._validated = self._read(trainer)

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the row and rewrite the file."""
        row = self._read(trainer) if self._validated is None else self._validated
        self._validated = None
        if not row:
            return
        self.rows.append({"epoch": float(trainer.current_epoch), **row})
        if trainer.is_global_zero:
            names = dict.fromkeys(name for row in self.rows for name in row)
            _write_rows(self.path, [*names], ({**row, "epoch": int(row["epoch"])} for row in self.rows))

    def _read(self, trainer: L.Trainer) -> dict[str, float]:
        return {
            f"{cell}={candidate}": round(value, 6)
            for cell, values in self.strategy.probabilities(search_progress(trainer)).items()
            for candidate, value in zip(self.strategy.space[cell].candidates, values, strict=True)
        }


def read_probabilities(path: Path) -> dict[int, Probabilities]:
    """Read the file of ProbabilityLog, by epoch.

    Raises:
        AvnasError: The file cannot be read or has other contents.
    """
    epochs: dict[int, Probabilities] = {}
    for row in _read_rows(path):
        try:
            cells: Probabilities = epochs.setdefault(int(row.pop("epoch")), {})
            for column, value in row.items():
                if not value:
                    continue  # the cell had no probabilities in this epoch
                cell, _, candidate = column.partition("=")
                cells.setdefault(cell, {})[candidate] = float(value)
        except (KeyError, ValueError) as error:
            raise AvnasError(f"{path}: is not a table of probabilities: {error}") from error
    return epochs


class EvaluatedArchitecture(NamedTuple):
    """An architecture that was scored during `SearchStrategy.search`.

    Args:
        round: Number of the strategy's call, from 0; of an evolution, the generation.
        weights: `shared`, the supernet's, or `own`, trained alone.
        score: mAP@100 `retrieved` on val.
        architecture: The architecture.
    """

    round: int
    weights: str
    score: float
    architecture: Architecture


def write_evaluations(path: Path, evaluations: Sequence[EvaluatedArchitecture]) -> None:
    """Write one row per architecture: round, weights, score, and the candidate of each cell."""
    rows = ({**each._asdict(), **each.architecture} for each in evaluations)
    _write_rows(path, ["round", "weights", "score", *evaluations[0].architecture], rows)


def read_evaluations(path: Path) -> tuple[EvaluatedArchitecture, ...]:
    """Read the file of `write_evaluations`.

    Raises:
        AvnasError: The file cannot be read or has other contents.
    """
    try:
        return tuple(
            EvaluatedArchitecture(int(row.pop("round")), row.pop("weights"), float(row.pop("score")), Architecture(row))
            for row in _read_rows(path)
        )
    except (KeyError, ValueError) as error:
        raise AvnasError(f"{path}: is not a table of scored architectures: {error}") from error


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
