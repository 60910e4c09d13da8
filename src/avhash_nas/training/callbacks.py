"""One row for each epoch of a stage, in a CSV file that survives interruptions."""

import csv
import math
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, RichProgressBar

from avhash_nas.files import write_whole
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.tensors import write_tensors


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


class KeepBest(Callback):
    """Writes `best.pt` whenever the monitored score on val is the best so far (Eq. 41 and 45 of the paper).

    The file holds {"network", "architecture", "strategy", "best"}: the weights that were scored, the strategy's tensors
    and the rest of its state, and what was logged. The best score lies in `last.ckpt`; a stage that is resumed from
    there meets the later epochs again and writes the same file again.

    Args:
        folder: Of the stage.
        monitor: Logged name of the score; higher is better, and the first of equals wins. None takes the last epoch.
        strategy: The search strategy, if this is a search.

    Attributes:
        best: Everything that was logged in the best epoch, and `epoch`, from 0; empty before the first validation.
    """

    def __init__(self, folder: Path, monitor: str | None, strategy: Callback | None = None) -> None:
        self.path = folder / "best.pt"
        self.monitor = monitor
        self.strategy = strategy
        self.best: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """The best score so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.best = state_dict["best"]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file if the score just logged is the best so far."""
        if trainer.sanity_checking:
            return
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self.monitor is not None:
            score = values.get(self.monitor, math.nan)
            if math.isnan(score) or score <= self.best.get(self.monitor, -math.inf):
                return
        self.best = {**values, "epoch": float(trainer.current_epoch)}
        if trainer.is_global_zero:
            state = {name: getattr(pl_module, name).state_dict() for name in ("network", "architecture")}
            of_strategy = {} if self.strategy is None else self.strategy.state_dict()
            write_tensors(self.path, {**state, "strategy": of_strategy, "best": self.best})


class AveragedWeights(EMAWeightAveraging):
    """Lightning's moving average of the weights, which stays in place until validation is over.

    Lightning swaps the training weights back before `on_validation_end`, where the best state is written.

    Args:
        decay: Of the average.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(decay=decay)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Copy the module once its objective has made its parameters: Lightning sets callbacks up before modules."""
        pl_module.setup(stage)
        super().setup(trainer, pl_module, stage)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the average in place."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the training weights back."""
        super().on_validation_epoch_end(trainer, pl_module)


class PlainProgress(Callback):
    """Prints one line an epoch to standard error, with the time that is left.

    Args:
        stage: Name of the stage, in front of each line.
        monitor: Logged names of the scores to show.
    """

    def __init__(self, stage: str, monitor: tuple[str, ...]) -> None:
        self.stage = stage
        self.monitor = monitor
        self._started = 0.0
        self._first = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._started = time.perf_counter()
        self._first = trainer.current_epoch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Print the line."""
        if not trainer.is_global_zero:
            return
        logged = trainer.callback_metrics
        scores = "  ".join(
            f"{name} {float(logged[name]):.4f}" for name in ("train/loss", *self.monitor) if name in logged
        )
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        left = (time.perf_counter() - self._started) / (epoch - self._first) * (epochs - epoch)
        print(f"{self.stage} epoch {epoch}/{epochs}  {scores}  {left:.0f} s left", file=sys.stderr, flush=True)


def progress(stage: str, monitor: tuple[str, ...]) -> list[Any]:
    """The callback that fits where standard error goes."""
    if sys.stderr.isatty():
        return [RichProgressBar()]
    return [PlainProgress(stage, monitor)]
