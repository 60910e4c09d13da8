"""Lightning's Trainers for commands: the user's options, errors in one line, processes and signals."""

import logging
import os
import signal
import threading
import time
import warnings
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
from avhash_nas.pipeline.loggers import check_logger, make_loggers

GRACE = 10.0
"""Seconds that a process has to end by itself after the one that started it has ended."""


def trainer_factory(
    options: dict[str, Any], logger: str, folder: RunFolder, callbacks: Sequence[Callback] = ()
) -> Callable[..., L.Trainer]:
    """The function that makes the Trainer of each stage from the user's options and the stage's own.

    One Trainer is made at once, to check the options. Unless `trainer.strategy` is given, several processes use DDP
    with unused parameters allowed, as a step of a search may leave most candidates out. Processes that were started by
    torchrun or SLURM connect here.

    Args:
        options: Of `L.Trainer`.
        logger: csv, wandb or tensorboard.
        folder: Of the run.
        callbacks: Of every Trainer, besides `trainer.callbacks` and those of a stage.

    Raises:
        AvnasError: Lightning refuses the options.
        MissingExtraError: The logger's package is not installed.
    """
    check_logger(logger)
    options = dict(options)
    more_callbacks = [*callbacks, *_as_list(options.pop("callbacks", None))]
    more_loggers = [given for given in _as_list(options.pop("logger", None)) if isinstance(given, Logger)]

    def trainer(**of_stage: Any) -> L.Trainer:
        quiet = dict.fromkeys(("enable_model_summary", "use_distributed_sampler"), False)
        return checked_trainer(L.Trainer, "--trainer", **options, **of_stage, **quiet, num_sanity_val_steps=0)

    def make(*, max_epochs: int, callbacks: list[Any], folder_of_stage: Path) -> L.Trainer:
        stage = "" if folder_of_stage == folder.path else folder_of_stage.name  # the test is named alike in all runs
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
    if started_beforehand(first):
        first.strategy.setup_environment()  # so that no process reads what another one removes
    return make


def checked_trainer(make: Callable[..., L.Trainer], options_named: str, **options: Any) -> L.Trainer:
    """A Trainer that leaves signals to us.

    Lightning's own signal handlers wait for ranks that got no signal, and under SLURM they requeue the job without our
    checkpoint. Lightning has no public way to leave them out: `SLURMEnvironment(auto_requeue=False)` covers only the
    requeueing, and the first hook of a callback after they are set comes once the data loaders have been made, too
    late for a signal in between. So the one private method that sets them is replaced, only here.

    Args:
        make: Makes it from the options.
        options_named: The options as an error names them.
        **options: For `make`.

    Raises:
        AvnasError: Lightning refuses the options.
    """
    try:
        trainer = make(**options)
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        raise AvnasError(f"{options_named}: {' '.join(str(error).split())}") from error
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def end_with_parent() -> None:
    """On a rank that another process has started, end this process some time after that one has ended.

    Lightning ends all ranks when one that it has started fails, but nothing ends those when the first rank fails: they
    would wait for it in their next exchange, on GPUs for many minutes.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def started_beforehand(trainer: L.Trainer) -> bool:
    """Whether torchrun or SLURM, rather than Lightning, has started the processes."""
    strategy = trainer.strategy
    return isinstance(strategy, DDPStrategy) and not isinstance(strategy.cluster_environment, LightningEnvironment)


def quiet() -> None:
    """Hide Lightning's advice on what is handled here."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for text in (
        "is deprecated, use `isinstance",
        "does not have many workers",
        "Checkpoint directory",
        "exists and is not empty",
        "You're resuming from",
        "There is a wandb run already in progress",  # the stages share one
        "It is recommended to use `self.log",  # the metrics are merged over the ranks already
        "find_unused_parameters=True was specified",
        "Grad strides do not match bucket view strides",  # of depthwise convolutions, which are small
        "Mismatch dtype between input and weight",  # RMSNorm under bf16-mixed is not fused on CPUs
    ):
        warnings.filterwarnings("ignore", f".*{text}.*")


def _as_list(value: Any) -> list[Any]:
    """A value, a list of values or None, as a list."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
