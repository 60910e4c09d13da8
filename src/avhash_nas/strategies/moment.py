"""Where a search is."""

import math
from dataclasses import dataclass

import lightning as L


@dataclass(frozen=True)
class Moment:
    """A point of a search.

    Attributes:
        epoch: Epochs done, from 0.
        batch: Batches done in this epoch, from 0.
        epochs: Epochs of the search.
        batches: Batches of an epoch; 0 if that is not known (yet), and then only whole epochs count.
    """

    epoch: int
    batch: int
    epochs: int
    batches: int

    @property
    def progress(self) -> float:
        """Part of the search that is done, in [0, 1]."""
        within = self.batch / self.batches if self.batches else 0.0
        return min(1.0, (self.epoch + within) / max(self.epochs, 1))

    @property
    def step(self) -> int:
        """Batches done since the search began."""
        return self.epoch * self.batches + self.batch


def moment_of(trainer: L.Trainer, batch: int | None = None) -> Moment:
    """Where a Trainer's fit is; without a batch, at the end of the present epoch."""
    epochs = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else 1
    known = math.isfinite(trainer.num_training_batches)  # not before training, when Lightning tries out the validation
    batches = int(trainer.num_training_batches) if known else 0
    return Moment(trainer.current_epoch, batches if batch is None else batch, epochs, batches)
