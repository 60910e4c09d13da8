"""Progress of a stage: rich bars in a terminal, one plain line an epoch elsewhere."""

import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, RichProgressBar


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
