"""One row for each epoch of a stage, in a CSV file that survives interruptions."""

import csv
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from avhash_nas.files import write_whole
from avhash_nas.strategies import SearchStrategy


class History(Callback):
    """Writes `epochs.csv`: epoch, seconds, learning rates, and everything that was logged in the epoch.

    `lr` is the rate of the network's body, `lr/head` that of its hash layer and `lr/architecture` that of a strategy's
    parameters, whoever trains them, at the epoch's end.

    The rows lie in the checkpoint, so that a resumed stage continues the file without gaps or repetitions, which
    Lightning's CSVLogger does not: it starts a new file.

    Args:
        folder: Of the stage.
        strategy: The search strategy, if this is a search.

    Attributes:
        rows: One mapping an epoch.
    """

    def __init__(self, folder: Path, strategy: SearchStrategy | None = None) -> None:
        self.path = folder / "epochs.csv"
        self.strategy = strategy
        self.rows: list[dict[str, float]] = []
        self._started = time.perf_counter()
        self._validated = False

    @property
    def seconds_per_epoch(self) -> float:
        """Mean time of an epoch, validation included."""
        return sum(row["seconds"] for row in self.rows) / max(len(self.rows), 1)

    @property
    def peaks(self) -> dict[str, float]:
        """The highest value of each score on val."""
        names = {name for row in self.rows for name in row if name.startswith("val/")}
        return {name: max(row[name] for row in self.rows if name in row) for name in sorted(names)}

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.rows = state_dict["rows"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._started = time.perf_counter()
        self._validated = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Remember that the scores are of this epoch."""
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Add the row and rewrite the file."""
        logged = {
            name: float(value)
            for name, value in sorted(trainer.callback_metrics.items())
            if self._validated or name.startswith("train/")  # Lightning keeps the scores of earlier epochs
        }
        seconds = time.perf_counter() - self._started
        self.rows.append({"epoch": float(trainer.current_epoch), "seconds": seconds, **self._rates(trainer), **logged})
        if trainer.is_global_zero:
            write_whole(self.path, self._write)

    def _rates(self, trainer: L.Trainer) -> dict[str, float]:
        groups = trainer.optimizers[0].param_groups
        rates = {"lr": float(groups[0]["lr"])}
        rates |= {f"lr/{group['part']}": float(group["lr"]) for group in groups if group.get("part", "body") != "body"}
        own = None if self.strategy is None else self.strategy.optimizer
        return rates if own is None else {**rates, "lr/architecture": float(own.param_groups[0]["lr"])}

    def _write(self, path: Path) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows({**row, "epoch": int(row["epoch"])} for row in self.rows)
