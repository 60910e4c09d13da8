"""The searches that the conformance checks look at: those of `avnas fit`, over tiny networks and videos."""

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
from avhash_nas.pipeline import Plan, RunFolder, Scoring
from avhash_nas.pipeline.fit import search
from avhash_nas.random_streams import seeded
from avhash_nas.space import Cell, SearchSpace
from avhash_nas.strategies import SearchStrategy
from avhash_nas.testing.videos import AUDIO_DIM, VISUAL_DIM, tiny_data
from avhash_nas.training import Augmentation, Recipe
from avhash_nas.training.callbacks import PlainProgress
from avhash_nas.training.checkpoint import StopRequest, stop_requests
from avhash_nas.training.stage import TrainerFactory

Make: TypeAlias = Callable[[], SearchStrategy]
"""Makes a new strategy: its class, or functools.partial of its class with options that suit short searches."""

SEED = 3
"""Of every search."""


@dataclass(frozen=True)
class Problem:
    """What is searched, and how long.

    Attributes:
        space: With at least one free cell.
        epochs: Of the search; a candidate alone is trained for half as many.
        batches: Of an epoch; None takes all.
        varied: With all that draws numbers or holds state: dropout, augmentation, weight decay.
        other_test: With other videos in test.
    """

    space: SearchSpace
    epochs: int
    batches: int | None = None
    varied: bool = False
    other_test: bool = False


def visual_space(**open_cells: tuple[str, ...]) -> SearchSpace:
    """The visual branch with some cells of its encoder open, by leaf; all others pass on, but for an activation."""
    encoder: dict[str, tuple[str, ...]] = dict.fromkeys(("M1", "M2", "U2", "U3", "M3", "U4"), ("skip",))
    encoder |= {"U1": ("silu",), "D1": ("add",), "D2": ("add",), **open_cells}
    cells = {f"visual.{leaf}": candidates for leaf, candidates in encoder.items()}
    return SearchSpace(tuple(Cell(*each) for each in {**cells, "S": _ATTENTION, "T": _ATTENTION}.items()))


_ATTENTION = ("self_attention",)

SHORT = Problem(
    visual_space(M1=("skip", "mlp", "conv3"), U1=("skip", "silu"), D1=("add", "hadamard")), 2, batches=3, varied=True
)
"""12 architectures, two epochs of three batches."""


def run(
    strategy: SearchStrategy,
    problem: Problem,
    folder: Path,
    before: Sequence[Callback] = (),
    behind: Sequence[Callback] = (),
    stop: StopRequest | None = None,
) -> None:
    """A search as `avnas fit` does it: train the supernet, let the strategy choose, prune.

    Args:
        strategy: New; it has searched afterwards.
        problem: What is searched.
        folder: Of the run, which may have been interrupted before.
        before: Callbacks that Lightning calls before the strategy.
        behind: Callbacks that it calls after it.
        stop: Ends the search when it is set.

    Raises:
        Interrupted: It was stopped.
    """
    sizes: dict[str, Any] = {"width": 12, "heads": 2, "balance": True, "dropout": 0.2 if problem.varied else 0.0}

    def make_network() -> AudioVisualNetwork:
        return AudioVisualNetwork(VISUAL_DIM, AUDIO_DIM, 8, problem.space, **sizes)

    recipe = Recipe(epochs=problem.epochs, lr=0.01, weight_decay=0.01 if problem.varied else 0.0)
    plan = Plan(
        data=tiny_data(other_test=problem.other_test, seed=SEED),
        make_network=make_network,
        objective=InfoNCE(),
        search=recipe,
        finetune=replace(recipe, epochs=max(1, problem.epochs // 2)),
        augmentation=Augmentation(noise=0.1) if problem.varied else None,
        strategy=strategy,
        make_trainer=_trainers(problem.batches, before, behind),
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


def _trainers(batches: int | None, before: Sequence[Callback], behind: Sequence[Callback]) -> TrainerFactory:
    """Makes Trainers without a voice; those of the strategy's search with more callbacks."""

    def make(*, max_epochs: int, callbacks: list[Any], folder_of_stage: Path) -> L.Trainer:
        if any(isinstance(callback, SearchStrategy) for callback in callbacks):
            callbacks = [*before, *callbacks, *behind]
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
    """Without Lightning's advice."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        logger.setLevel(level)
