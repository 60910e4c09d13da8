"""One stage: train until the recipe is through, keep the best, and be able to go on at any time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping

from avhash_nas.data import HashingData
from avhash_nas.distributed import of_first_rank
from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json, write_json
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.callbacks import AveragedWeights, History, KeepBest, progress
from avhash_nas.training.checkpoint import StageCheckpoint, StopBetweenBatches, StopRequest
from avhash_nas.training.module import HashingModule
from avhash_nas.training.search_log import Choices
from avhash_nas.training.tensors import read_tensors

TrainerFactory = Callable[..., L.Trainer]
"""Makes a Trainer from `max_epochs`, `callbacks` and `folder_of_stage`, with everything else as the user asked for."""


@dataclass(frozen=True)
class StageResult:
    """What a finished stage says of itself.

    Attributes:
        best: What was logged in the best epoch, and `epoch`, from 0.
        peaks: The highest value of each logged score over all epochs.
        epochs: Epochs that were trained.
        epoch_seconds: Mean time of an epoch, validation included.
        training_only: Parameters of the objective, which no finished network has.
    """

    best: dict[str, float]
    peaks: dict[str, float]
    epochs: int
    epoch_seconds: float
    training_only: int = 0


class Stage:
    """Trains a HashingModule in a folder: `best.pt`, `epochs.csv`, `last.ckpt` while it runs, `done.json` at its end.

    A search leaves `probabilities.csv` as well, and an objective with offline work `prepared.pt`.

    Args:
        name: `search` or `finetune`, for progress.
        folder: Of the stage.
        monitor: Logged score that decides what is best; None takes the state at the end.
        shown: Logged scores that progress shows.
    """

    def __init__(self, name: str, folder: Path, monitor: str | None, shown: tuple[str, ...]) -> None:
        self.name = name
        self.folder = folder
        self.monitor = monitor
        self.shown = shown

    @property
    def done(self) -> Path:
        """Written last."""
        return self.folder / "done.json"

    def result(self) -> StageResult:
        """What the finished stage left."""
        return StageResult(**read_json(self.done))

    def run(
        self,
        module: HashingModule,
        data: HashingData,
        make_trainer: TrainerFactory,
        strategy: SearchStrategy | None,
        stop: StopRequest,
    ) -> StageResult:
        """Train, or go on training, or do nothing if the stage is finished; then load the best state.

        Args:
            module: Its network and its strategy's parameters hold the best state afterwards.
            data: Train and val.
            make_trainer: Called once.
            strategy: The search strategy, if this is a search; it holds the best state afterwards as well.
            stop: Signals that ask to stop.

        Raises:
            Interrupted: Stopped; the same call goes on.
            AvnasError: No epoch gave a score.
        """
        if not of_first_rank(self.done.exists()):
            self._train(module, data, make_trainer, strategy, stop)
        state = read_tensors(self.folder / "best.pt")
        module.network.load_state_dict(state["network"])
        module.architecture.load_state_dict(state["architecture"])
        if strategy is not None:
            strategy.load_state_dict(state["strategy"])
        return self.result()

    def _train(
        self,
        module: HashingModule,
        data: HashingData,
        make_trainer: TrainerFactory,
        strategy: SearchStrategy | None,
        stop: StopRequest,
    ) -> None:
        recipe = module.recipe
        module.prepared = self.folder / "prepared.pt"
        monitor = self.monitor if recipe.keep == "best" else None
        best, history = KeepBest(self.folder, monitor, strategy), History(self.folder, strategy)
        checkpoint = StageCheckpoint(self.folder, stop)
        # The average is in place before a strategy sets the routes of a validation, and until the best state is kept.
        callbacks: list[Callback] = [StopBetweenBatches(checkpoint), best]
        if recipe.average:
            callbacks.append(AveragedWeights(recipe.average))
        if strategy is not None:
            callbacks += [strategy, Choices(self.folder, strategy)]
        if recipe.patience:
            if monitor is None:
                raise AvnasError(f"{self.name}: patience needs a score to wait for; here the last state is kept")
            callbacks.append(EarlyStopping(monitor, mode="max", patience=recipe.patience, strict=True))
        callbacks += [history, checkpoint, *progress(self.name, self.shown)]
        trainer = make_trainer(max_epochs=recipe.epochs, callbacks=callbacks, folder_of_stage=self.folder)
        self._check(trainer, monitor)
        resume = str(checkpoint.path) if of_first_rank(checkpoint.path.exists()) else None
        try:
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
        except MisconfigurationException as error:
            raise AvnasError(f"{self.name}: {error}") from error
        finally:
            stop.polite = False
        if not best.best:
            raise AvnasError(f"{self.name}: ended before any epoch was scored on val (trainer.max_time?)")
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            extra = sum(parameter.numel() for parameter in module.objective.parameters())
            result = StageResult(best.best, history.peaks, len(history.rows), history.seconds_per_epoch, extra)
            write_json(self.done, vars(result))
            checkpoint.path.unlink(missing_ok=True)
        trainer.strategy.barrier()

    def _check(self, trainer: L.Trainer, monitor: str | None) -> None:
        """Refuse a stage that cannot score an epoch, before it has trained for hours."""
        for name in ("limit_train_batches", "limit_val_batches"):
            if getattr(trainer, name) == 0:
                raise AvnasError(f"{self.name}: trainer.{name}=0 leaves nothing to train or to select by")
        every, epochs = trainer.check_val_every_n_epoch, trainer.max_epochs
        if every is not None and epochs is not None and every > epochs:
            raise AvnasError(
                f"{self.name}: trainer.check_val_every_n_epoch={every} is more than the stage's {epochs} epochs"
            )
        if monitor is None and every is not None and epochs is not None and epochs % every:
            raise AvnasError(
                f"{self.name}: the state of the end is kept, which must be scored: "
                f"trainer.check_val_every_n_epoch={every} does not divide the stage's {epochs} epochs"
            )
