"""What can be seen of a search from outside, step by step."""

import pickle
import random
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback

from avhash_nas.strategies import SearchStrategy
from avhash_nas.strategies.protocols import as_searchable, search_progress
from avhash_nas.testing.bench import SHORT, Make, run, temporary_folder
from avhash_nas.testing.compare import frozen
from avhash_nas.training.tensors import read_tensors

Place = tuple[int, int]
"""Epoch and batch of a weight step, from 0."""


@dataclass
class Step:
    """One weight step and what the strategy did before it.

    Attributes:
        rows: Videos of the weight step's batch.
        before: State before the strategy's hook.
        between: State between it and the weight step.
        after: State after the weight step.
        route: What the weight step ran.
        numbers_drawn: Whether the strategy's hook has drawn from the generators of Python or NumPy.
        held_out: Videos of the architecture batch, if some training videos do not train the weights.
    """

    rows: list[int]
    before: dict[str, Any]
    between: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    route: Any = None
    numbers_drawn: bool = False
    held_out: list[int] = field(default_factory=list)


class SearchRecorder:
    """Callbacks that note what happens around a strategy.

    Attributes:
        steps: Every weight step.
        scores: What each validation logged, by epoch.
        jointly_trained: Names of the architecture parameters that the weights' optimizer trains.
        kept: Strategy's state after training, as a run keeps it; None if nothing was trained.
    """

    def __init__(self, strategy: SearchStrategy) -> None:
        self.strategy = strategy
        self.steps: dict[Place, Step] = {}
        self.scores: dict[int, dict[str, float]] = {}
        self.jointly_trained: set[str] = set()
        self.kept: dict[str, Any] | None = None
        self.before, self.behind = _Before(self), _Behind(self)

    def outcome(self) -> dict[str, Any]:
        """All that a search gives, as plain values and tensors."""
        return {
            "steps": {
                f"epoch {epoch} batch {batch}": {"rows": step.rows, "route": step.route, "after it": step.after}
                for (epoch, batch), step in sorted(self.steps.items())
            },
            "scores": {f"epoch {epoch}": values for epoch, values in sorted(self.scores.items())},
            "derived": dict(self.strategy.derive()),
            "report": frozen(self.strategy.report()),
            "architecture": frozen(self.strategy.architecture.state_dict()),
        }


class _Before(Callback):
    """Called before the strategy."""

    def __init__(self, watch: SearchRecorder) -> None:
        self.watch = watch
        self.generators: Any = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        state = state_of(pl_module, self.watch.strategy)
        self.watch.steps[trainer.current_epoch, batch_idx] = Step(batch.index.tolist(), state)
        self.generators = global_generators()


class _Behind(Callback):
    """Called after the strategy."""

    def __init__(self, watch: SearchRecorder) -> None:
        self.watch = watch

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        groups = self.watch.strategy.parameter_groups()
        joint = {id(parameter) for group in groups for parameter in group["params"]}
        named = self.watch.strategy.architecture.named_parameters()
        self.watch.jointly_trained = {name for name, parameter in named if id(parameter) in joint}

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        step = self.watch.steps[trainer.current_epoch, batch_idx]
        step.numbers_drawn = self.watch.before.generators != global_generators()
        step.between = state_of(pl_module, self.watch.strategy)
        step.route = frozen(as_searchable(pl_module).route)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        strategy, step = self.watch.strategy, self.watch.steps[trainer.current_epoch, batch_idx]
        step.after = state_of(pl_module, strategy)
        if strategy.train_fraction < 1:
            progress = search_progress(trainer, batch_idx)
            step.held_out = strategy.architecture_batch(as_searchable(pl_module), progress).index.tolist()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self.watch.scores[trainer.current_epoch] = {
            name: float(value) for name, value in sorted(trainer.callback_metrics.items())
        }


def state_of(module: L.LightningModule, strategy: SearchStrategy) -> dict[str, Any]:
    """The network's weights, gradients, buffers and modes, and the strategy's tensors and other state."""
    network = module.get_submodule("network")
    parameters = dict(network.named_parameters())
    return {
        "weights": frozen(parameters),
        "gradients": frozen({name: parameter.grad for name, parameter in parameters.items()}),
        "buffers": frozen(dict(network.named_buffers())),
        "trained": {name: parameter.requires_grad for name, parameter in parameters.items()},
        "mode": {name: each.training for name, each in network.named_modules()},
        "architecture": frozen(strategy.architecture.state_dict()),
        "state_dict": frozen(strategy.state_dict()),
    }


def global_generators() -> list[Any]:
    """States of the generators of Python and NumPy that anybody may draw from."""
    return [random.getstate(), pickle.dumps(np.random.get_state())]


def watched(make: Make) -> SearchRecorder:
    """A short search, watched."""
    strategy = make()
    watch = SearchRecorder(strategy)
    with temporary_folder() as folder:
        run(strategy, SHORT, folder, [watch.before], [watch.behind])
        if strategy.uses_supernet:
            watch.kept = read_tensors(folder / "search" / "best.pt")
    return watch


@lru_cache(maxsize=2)
def once_watched(make: Make) -> SearchRecorder:
    """The same, kept for several checks to look at; not to be changed."""
    return watched(make)
