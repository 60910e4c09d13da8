"""The best state of a stage on val."""

import math
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging

from avhash_nas.training.tensors import write_tensors


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
