"""Lightning's Trainers as `avnas fit` makes them: the user's options under a stage's own, and one way with ranks."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Checkpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from avhash_nas.errors import AvnasError
from avhash_nas.pipeline import RunFolder
from avhash_nas.pipeline.loggers import make_loggers

GRACE = 10.0
"""Seconds that a process has for ending by itself once the one that started it has gone."""


def trainer_factory(
    options: dict[str, Any], logger: str, folder: RunFolder, callbacks: Sequence[Callback] = ()
) -> Callable[..., L.Trainer]:
    """Makes Trainers with the user's options under a stage's own; one is made at once, to see that they fit together.

    Several processes train by DDP that allows for parameters without a gradient, as a step of a search may leave most
    candidates out, unless `trainer.strategy` names another way. Processes that something else has started (torchrun,
    SLURM) find each other now. All get the callbacks, those of `trainer.callbacks`, and a stage's own.

    Raises:
        AvnasError: Lightning refuses the options.
    """
    options = dict(options)
    more_callbacks = [*callbacks, *_as_list(options.pop("callbacks", None))]
    more_loggers = [given for given in _as_list(options.pop("logger", None)) if isinstance(given, Logger)]

    def trainer(**of_stage: Any) -> L.Trainer:
        try:
            made = L.Trainer(
                **options,
                **of_stage,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
            )
        except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
            raise AvnasError(f"--trainer: {' '.join(str(error).split())}") from error
        # Stopping is the stages' matter: Lightning's handlers wait for other ranks that have got no signal, and under
        # SLURM they requeue the job without our checkpoint.
        made._signal_connector.register_signal_handlers = no_handlers  # type: ignore[method-assign]
        return made

    def make(*, max_epochs: int, callbacks: list[Any], folder_of_stage: Path) -> L.Trainer:
        stage = "" if folder_of_stage == folder.path else folder_of_stage.name  # the test has the same name in all runs
        return trainer(
            max_epochs=max_epochs,
            callbacks=[*callbacks, *more_callbacks],
            logger=[*make_loggers(logger, folder.path, stage), *more_loggers] or False,
            default_root_dir=folder_of_stage,
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        )

    first = trainer(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    if options.get("strategy") == "auto" and isinstance(first.strategy, DDPStrategy):
        options["strategy"] = "ddp_find_unused_parameters_true"
    _meet(first)
    return make


def follow_parent() -> None:
    """SearchRecorder for the end of the process that started this one, and end this one too, after a while.

    Lightning ends all ranks when one that it has started fails, but nothing ends those when the first rank does: they
    would wait for it in their next exchange, on GPUs for many minutes.
    """
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def _meet(trainer: L.Trainer) -> None:
    """Join the other processes if all have been started already, so that none reads what another is removing."""
    if started_beforehand(trainer):
        trainer.strategy.setup_environment()


def started_beforehand(trainer: L.Trainer) -> bool:
    """Whether something else than Lightning (torchrun, SLURM) has started the processes, all of them at once."""
    strategy = trainer.strategy
    return isinstance(strategy, DDPStrategy) and not isinstance(strategy.cluster_environment, LightningEnvironment)


def no_handlers() -> None:
    """In place of the method by which a Trainer sets its signal handlers."""


def _as_list(value: Any) -> list[Any]:
    """A value, a list of values or nothing, as a list."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
