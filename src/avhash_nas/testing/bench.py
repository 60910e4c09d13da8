"""Searches for the conformance checks: those of `avnas fit`, on tiny networks and videos."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import lightning as L
from lightning.pytorch.callbacks import Callback, Checkpoint, ProgressBar

from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.objectives import InfoNCE
from avhash_nas.pipeline import Plan, RunFolder, Scoring, search
from avhash_nas.random_streams import seeded
from avhash_nas.space import Cell, SearchSpace
from avhash_nas.strategies import SearchStrategy
from avhash_nas.testing.videos import AUDIO_DIM, VISUAL_DIM, tiny_data
from avhash_nas.training import Augmentation, Recipe, StopRequest, TrainerFactory, stop_requests
from avhash_nas.training.callbacks import PlainProgress

Make: TypeAlias = Callable[[], SearchStrategy]
"""Makes a new strategy: its class, or functools.partial of its class with options that suit short searches."""

SEED = 3
"""Seed of every search."""


@dataclass(frozen=True)
class Problem:
    """A search problem.

    Attributes:
        space: With at least one free cell.
        epochs: Epochs of the search; a candidate is trained alone for half as many.
        batches: Batches of an epoch; None takes all.
        regularized: With everything that draws random numbers or holds state: dropout, augmentation, weight decay.
        other_test: With other videos in test.
    """

    space: SearchSpace
    epochs: int
    batches: int | None = None
    regularized: bool = False
    other_test: bool = False


def visual_space(**choices: tuple[str, ...]) -> SearchSpace:
    """The visual branch with choices in some cells of its encoder; the others are identities, except an activation."""
    encoder: dict[str, tuple[str, ...]] = dict.fromkeys(("M1", "M2", "U2", "U3", "M3", "U4"), ("skip",))
    encoder |= {"U1": ("silu",), "D1": ("add",), "D2": ("add",), **choices}
    cells = {f"visual.{leaf}": candidates for leaf, candidates in encoder.items()}
    return SearchSpace(tuple(Cell(*each) for each in {**cells, "S": _ATTENTION, "T": _ATTENTION}.items()))


_ATTENTION = ("self_attention",)

SHORT = Problem(
    visual_space(M1=("skip", "mlp", "conv3"), U1=("skip", "silu"), D1=("add", "hadamard")),
    2,
    batches=3,
    regularized=True,
)
"""12 architectures, two epochs of three batches."""


def run(
    strategy: SearchStrategy,
    problem: Problem,
    folder: Path,
    callbacks: Sequence[Callback] = (),
    stop: StopRequest | None = None,
) -> None:
    """Search as `avnas fit` does: train the supernet and let the strategy search.

    Args:
        strategy: New; it has searched afterwards.
        problem: The search problem.
        folder: Of the run, which may have been interrupted before.
        callbacks: More callbacks of the search. Lightning calls a Checkpoint after the strategy, others before it.
        stop: Ends the search when a signal is set.

    Raises:
        Interrupted: It was stopped.
    """
    sizes: dict[str, Any] = {"width": 12, "heads": 2, "balance": True, "dropout": 0.2 if problem.regularized else 0.0}

    def make_network() -> AudioVisualNetwork:
        return AudioVisualNetwork(VISUAL_DIM, AUDIO_DIM, 8, problem.space, **sizes)

    recipe = Recipe(epochs=problem.epochs, lr=0.01, weight_decay=0.01 if problem.regularized else 0.0)
    plan = Plan(
        data=tiny_data(other_test=problem.other_test, seed=SEED),
        make_network=make_network,
        objective=InfoNCE(),
        search=recipe,
        finetune=replace(recipe, epochs=max(1, problem.epochs // 2)),
        augmentation=Augmentation(noise=0.1) if problem.regularized else None,
        strategy=strategy,
        make_trainer=_trainers(problem.batches, callbacks),
        seed=SEED,
        scoring=Scoring(),
    )
    with _quiet(), stop_requests() as own:
        with seeded(SEED):
            network = make_network()
        search(plan, network, RunFolder(folder), own if stop is None else stop)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for a run, within the block."""
    with tempfile.TemporaryDirectory(prefix="avhash-nas-testing-") as folder:
        yield Path(folder)


def _trainers(batches: int | None, more_callbacks: Sequence[Callback]) -> TrainerFactory:
    """Makes Trainers without output; that of the search with more callbacks."""

    def make(*, max_epochs: int, callbacks: list[Any], folder_of_stage: Path) -> L.Trainer:
        if folder_of_stage.name == "search":
            callbacks = [*callbacks, *more_callbacks]
        silent = [callback for callback in callbacks if not isinstance(callback, PlainProgress | ProgressBar)]
        return L.Trainer(
            max_epochs=max_epochs,
            callbacks=silent,
            default_root_dir=folder_of_stage,
            limit_train_batches=batches,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in silent),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )

    return make


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Lightning's hints."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        logger.setLevel(level)
