"""Callbacks of a stage: the table of epochs, the best state, averaged weights, progress."""

import csv
import math
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, RichProgressBar
from typing_extensions import override

from avhash_nas.files import write_whole
from avhash_nas.training.module import NetworkModule
from avhash_nas.training.tensors import write_tensors


class EpochLog(Callback):
    """Writes `epochs.csv`: epoch, seconds, learning rates, and everything that was logged in the epoch.

    `lr` is the rate of the network's body, `lr/head` that of its hash layer and `lr/architecture` that of a strategy's
    parameters, at the end of the epoch.

    The rows are part of the checkpoint, so that a resumed stage continues the file without gaps or repetitions.
    Lightning's CSVLogger would start a new file.

    Args:
        folder: Of the stage.

    Attributes:
        rows: One mapping per epoch.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "epochs.csv"
        self.rows: list[dict[str, float]] = []
        self._started = time.perf_counter()
        self._validated = False

    @property
    def seconds_per_epoch(self) -> float:
        """Mean time of an epoch, including validation."""
        return sum(row["seconds"] for row in self.rows) / max(len(self.rows), 1)

    @property
    def peaks(self) -> dict[str, float]:
        """The highest value of each score on val."""
        names = {name for row in self.rows for name in row if name.startswith("val/")}
        return {name: max(row[name] for row in self.rows if name in row) for name in sorted(names)}

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    @override
    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()
        self._validated = False

    @override
    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._validated = True

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the row and rewrite the file."""
        logged = {
            name: float(value)
            for name, value in sorted(trainer.callback_metrics.items())
            if self._validated or name.startswith("train/")  # Lightning keeps the scores of earlier epochs
        }
        seconds = time.perf_counter() - self._started
        rates = _learning_rates(trainer, pl_module)
        self.rows.append({"epoch": float(trainer.current_epoch), "seconds": seconds, **rates, **logged})
        if trainer.is_global_zero:
            write_whole(self.path, self._write)

    def _write(self, path: Path) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows({**row, "epoch": int(row["epoch"])} for row in self.rows)


def _learning_rates(trainer: L.Trainer, module: L.LightningModule) -> dict[str, float]:
    groups = trainer.optimizers[0].param_groups
    rates = {"lr": float(groups[0]["lr"])}
    rates |= {f"lr/{group['part']}": float(group["lr"]) for group in groups if group.get("part", "body") != "body"}
    strategy = module.strategy if isinstance(module, NetworkModule) else None
    if strategy is not None and strategy.optimizer is not None:
        rates["lr/architecture"] = float(strategy.optimizer.param_groups[0]["lr"])
    return rates


class KeepBest(Callback):
    """Writes `best.pt` whenever the monitored score on val is the best so far (Eq. 41 and 45 of the paper).

    The file holds {"network", "architecture", "strategy", "best"}: the weights that were scored, the strategy's tensors
    and its other state, and what was logged. The best score is part of `last.ckpt`; a stage that is resumed from there
    reaches the later epochs again and writes the same file again.

    Args:
        folder: Of the stage.
        monitor: Logged name of the score; higher is better, and the first of ties wins. None takes the last epoch.
        validates: Whether the dataset has videos to validate on; without, the monitor must be None.

    Attributes:
        best: Everything that was logged in the best epoch, and `epoch`, from 0; empty before the first validation.
    """

    def __init__(self, folder: Path, monitor: str | None, *, validates: bool = True) -> None:
        self.path = folder / "best.pt"
        self.monitor = monitor
        self.validates = validates
        self.best: dict[str, float] = {}

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    @override
    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file if the score just logged is the best so far."""
        if not trainer.sanity_checking:
            self._keep(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file where no validation does."""
        if not self.validates:
            self._keep(trainer, pl_module)

    def _keep(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self.monitor is not None:
            score = values.get(self.monitor, math.nan)
            if math.isnan(score) or score <= self.best.get(self.monitor, -math.inf):
                return
        self.best = {**values, "epoch": float(trainer.current_epoch)}
        if trainer.is_global_zero:
            state = {name: getattr(pl_module, name).state_dict() for name in ("network", "architecture")}
            strategy = getattr(pl_module, "strategy", None)
            of_strategy = {} if strategy is None else strategy.state_dict()
            write_tensors(self.path, {**state, "strategy": of_strategy, "best": self.best})


class AveragedWeights(EMAWeightAveraging):
    """Lightning's moving average of the weights, which stays in place until validation is over.

    Lightning restores the training weights before `on_validation_end`, where the best state is written.

    Args:
        decay: Of the average.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(decay=decay)

    @override
    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Copy the module once its objective has its parameters: Lightning sets up callbacks before modules."""
        pl_module.setup(stage)
        super().setup(trainer, pl_module, stage)

    @override
    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the average in place."""

    @override
    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_validation_epoch_end(trainer, pl_module)


class PlainProgress(Callback):
    """Prints one line per epoch to standard error, with the remaining time.

    Args:
        stage: Name of the stage, at the start of each line.
        monitor: Logged names of the scores to show.
    """

    def __init__(self, stage: str, monitor: tuple[str, ...]) -> None:
        self.stage = stage
        self.monitor = monitor
        self._started = 0.0
        self._first = 0

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()
        self._first = trainer.current_epoch

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        logged = trainer.callback_metrics
        scores = "  ".join(
            f"{name} {float(logged[name]):.4f}" for name in ("train/loss", *self.monitor) if name in logged
        )
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        left = (time.perf_counter() - self._started) / (epoch - self._first) * (epochs - epoch)
        print(f"{self.stage} epoch {epoch}/{epochs}  {scores}  {left:.0f} s left", file=sys.stderr, flush=True)


def progress_callback(stage: str, monitor: tuple[str, ...]) -> Callback:
    """A progress bar on a terminal, otherwise PlainProgress."""
    return RichProgressBar() if sys.stderr.isatty() else PlainProgress(stage, monitor)
