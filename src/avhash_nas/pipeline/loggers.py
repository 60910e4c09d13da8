"""Loggers by name. A run's curves are in epochs.csv without any of them."""

import hashlib
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.loggers import Logger

from avhash_nas.errors import AvnasError, MissingExtraError

if TYPE_CHECKING:
    from lightning.pytorch.loggers import WandbLogger

PROJECT = "avhash-nas"


def make_loggers(name: str, run: Path, stage: str) -> list[Logger]:
    """The loggers of a stage.

    Args:
        name: `csv` (epochs.csv, which every stage writes anyway), `wandb` or `tensorboard`.
        run: Folder of the run; wandb shows its name, and a resumed run keeps its id.
        stage: Prefix of what is logged; empty for the test.

    Raises:
        MissingExtraError: The package is not installed.
        AvnasError: wandb refuses to start.
    """
    makers: dict[str, Callable[[Path, str], Sequence[Logger]]] = {"wandb": _wandb, "tensorboard": _tensorboard}
    return list(makers[name](run, stage)) if name in makers else []


def log_pictures(name: str, run: Path, pictures: Sequence[Path]) -> None:
    """Send pictures to wandb; other loggers do not show them.

    Args:
        name: As `make_loggers` takes it.
        run: Folder of the run.
        pictures: PNG files; each is shown under its name.
    """
    if name == "wandb":
        (logger,) = _wandb(run, "")
        for file in pictures:
            logger.log_image(f"report/{file.stem}", [str(file)])


def check_logger(name: str) -> None:
    """Check, before any training, that a logger's package is installed.

    Raises:
        MissingExtraError: It is not installed.
    """
    if name in ("wandb", "tensorboard"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise MissingExtraError(name, name, f"--logger={name}") from error


def _tensorboard(run: Path, stage: str) -> list[Logger]:
    check_logger("tensorboard")
    from lightning.pytorch.loggers import TensorBoardLogger

    return [TensorBoardLogger(run, name="tensorboard", version=stage)]


def _wandb(run: Path, stage: str) -> list["WandbLogger"]:
    check_logger("wandb")
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    identity = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:12]
    run.mkdir(parents=True, exist_ok=True)
    logger = WandbLogger(project=PROJECT, name=run.name, id=identity, save_dir=run, prefix=stage, resume="allow")
    try:
        logger.experiment  # noqa: B018  # starts the run now, so that an error comes before any training
    except wandb.errors.UsageError as error:
        raise AvnasError(f"--logger=wandb: {error} (or set WANDB_MODE=offline)") from error
    return [logger]
