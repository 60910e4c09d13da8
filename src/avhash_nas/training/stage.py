"""One stage: train by the recipe, keep the best state, resume at any point."""

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
from avhash_nas.training.callbacks import AveragedWeights, EpochLog, KeepBest, progress_callback
from avhash_nas.training.checkpoint import StageCheckpoint, StopBetweenBatches, StopRequest
from avhash_nas.training.module import NetworkModule
from avhash_nas.training.search_log import ProbabilityLog
from avhash_nas.training.tensors import read_tensors

TrainerFactory = Callable[..., L.Trainer]
"""Makes a Trainer from `max_epochs`, `callbacks` and `folder_of_stage`, and the user's options for everything else."""


@dataclass(frozen=True)
class StageResult:
    """Contents of `done.json`.

    Attributes:
        best: Everything that was logged in the best epoch, and `epoch`, from 0.
        peaks: The highest value of each logged score over all epochs.
        epochs: Number of epochs that were trained.
        epoch_seconds: Mean time of an epoch, including validation.
        training_only: Parameters of the objective, which are not part of the finished network.
    """

    best: dict[str, float]
    peaks: dict[str, float]
    epochs: int
    epoch_seconds: float
    training_only: int = 0


class Stage:
    """Trains a NetworkModule in a folder: `best.pt`, `epochs.csv`, `last.ckpt` while it runs, `done.json` at its end.

    A search also leaves `probabilities.csv`, and an objective with offline work `prepared.pt`.

    Args:
        name: `search`, `finetune` and so on, for progress and errors.
        folder: Of the stage.
        monitor: Logged score that selects the best epoch; None keeps the state at the end.
        shown: Logged scores that progress shows.
    """

    def __init__(self, name: str, folder: Path, monitor: str | None, shown: tuple[str, ...]) -> None:
        self.name = name
        self.folder = folder
        self.monitor = monitor
        self.shown = shown

    @property
    def prepared_file(self) -> Path:
        """File of what the objective prepares."""
        return self.folder / "prepared.pt"

    @property
    def done(self) -> Path:
        """The file that is written last."""
        return self.folder / "done.json"

    def result(self) -> StageResult:
        """Result of the finished stage."""
        return StageResult(**read_json(self.done))

    def run(
        self, module: NetworkModule, data: HashingData, make_trainer: TrainerFactory, stop: StopRequest
    ) -> StageResult:
        """Train, or resume, or do nothing if the stage is finished; then load the best state.

        Args:
            module: Its network and its strategy hold the best state afterwards.
            data: Train and val.
            make_trainer: Called once.
            stop: Stop request.

        Raises:
            Interrupted: Stopped; the same call resumes.
            AvnasError: No epoch gave a score.
        """
        if not of_first_rank(self.done.exists()):
            self._train(module, data, make_trainer, stop)
        state = read_tensors(self.folder / "best.pt")
        module.network.load_state_dict(state["network"])
        module.architecture.load_state_dict(state["architecture"])
        if module.strategy is not None:
            module.strategy.load_state_dict(state["strategy"])
        return self.result()

    def _train(self, module: NetworkModule, data: HashingData, make_trainer: TrainerFactory, stop: StopRequest) -> None:
        recipe = module.recipe
        monitor = self.monitor if recipe.keep == "best" else None
        best, log, checkpoint = (
            KeepBest(self.folder, monitor, validates="val" in data.splits),
            EpochLog(self.folder),
            StageCheckpoint(self.folder, stop),
        )
        callbacks: list[Callback] = [StopBetweenBatches(checkpoint), best]
        if recipe.average:
            callbacks.append(AveragedWeights(recipe.average))
        if module.strategy is not None:
            callbacks.append(ProbabilityLog(self.folder, module.strategy))
        if recipe.patience:
            if monitor is None:
                raise AvnasError(f"{self.name}: patience needs a score to wait for; here the last state is kept")
            callbacks.append(EarlyStopping(monitor, mode="max", patience=recipe.patience, strict=True))
        callbacks += [log, checkpoint, progress_callback(self.name, self.shown)]
        # HashingModule.configure_callbacks adds the StrategyCallback
        trainer = make_trainer(max_epochs=recipe.epochs, callbacks=callbacks, folder_of_stage=self.folder)
        self._check(trainer, monitor)
        resume = str(checkpoint.path) if of_first_rank(checkpoint.path.exists()) else None
        try:
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
        except MisconfigurationException as error:
            raise AvnasError(f"{self.name}: {error}") from error
        finally:
            stop.deferred = False
        if not best.best:
            raise AvnasError(f"{self.name}: ended before any epoch was scored on val (trainer.max_time?)")
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            training_only = sum(parameter.numel() for parameter in module.objective.parameters())
            result = StageResult(best.best, log.peaks, len(log.rows), log.seconds_per_epoch, training_only)
            write_json(self.done, vars(result))
            checkpoint.path.unlink(missing_ok=True)
        trainer.strategy.barrier()

    def _check(self, trainer: L.Trainer, monitor: str | None) -> None:
        """Refuse a stage that cannot score an epoch, before it trains for hours."""
        for name in ("limit_train_batches", "limit_val_batches"):
            if getattr(trainer, name) == 0:
                raise AvnasError(f"{self.name}: trainer.{name}=0 leaves nothing to train or to select by")
        every, epochs = trainer.check_val_every_n_epoch, trainer.max_epochs
        if every is None or epochs is None:
            return
        if every > epochs:
            raise AvnasError(
                f"{self.name}: trainer.check_val_every_n_epoch={every} is more than the stage's {epochs} epochs"
            )
        if monitor is None and epochs % every:
            raise AvnasError(
                f"{self.name}: the state of the end is kept, which must be scored: "
                f"trainer.check_val_every_n_epoch={every} does not divide the stage's {epochs} epochs"
            )
