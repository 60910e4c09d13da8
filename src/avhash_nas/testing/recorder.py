"""A recorder of a search, step by step."""

import pickle
import random
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor
from typing_extensions import override

from avhash_nas.data import Batch
from avhash_nas.strategies import SearchContext, SearchProgress, SearchStrategy
from avhash_nas.testing.bench import SHORT, Make, run, temporary_folder
from avhash_nas.testing.compare import frozen
from avhash_nas.training import HashingModule, read_tensors

Position = tuple[int, int]
"""Epoch and batch of a weight step, from 0."""


@dataclass
class Step:
    """One weight step and the strategy's own step before it.

    Attributes:
        rows: Videos of the weight step's batch.
        before: State before the strategy's step.
        between: State between it and the weight step.
        after: State after the weight step.
        route: Route of the weight step.
        numbers_drawn: Whether the strategy's step has drawn from the generators of Python or NumPy.
        own_rows: Videos of the losses that the strategy's step has taken.
    """

    rows: list[int]
    before: dict[str, Any]
    between: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    route: Any = None
    numbers_drawn: bool = False
    own_rows: list[int] = field(default_factory=list)


class SearchRecorder:
    """Records what happens around a strategy.

    Attributes:
        strategy: The strategy that is recorded; its `architecture_step` is wrapped.
        steps: Every weight step.
        scores: Logged values of each validation, by epoch.
        jointly_trained: Names of the architecture parameters that the weights' optimizer trains.
        kept: The state after training that a run keeps; None if no supernet was trained.
    """

    def __init__(self, strategy: SearchStrategy) -> None:
        self.steps: dict[Position, Step] = {}
        self.scores: dict[int, dict[str, float]] = {}
        self.jointly_trained: set[str] = set()
        self.kept: dict[str, Any] | None = None
        self.watch(strategy)
        self.callbacks: tuple[Callback, ...] = (_BeforeStep(self), _AfterStep(self))

    def watch(self, strategy: SearchStrategy) -> None:
        """Record this strategy from now on, as after an interruption."""
        self.strategy = strategy
        own_step = strategy.architecture_step

        def recorded(context: SearchContext, batch: Batch, progress: SearchProgress) -> None:
            rows = self.steps[progress.epoch, progress.batch].own_rows
            own_step(replace(context, module=_RecordedModule(context.module, rows)), batch, progress)

        strategy.architecture_step = recorded  # type: ignore[method-assign]

    def outcome(self) -> dict[str, Any]:
        """All results of a search, as plain values and tensors."""
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


class _RecordedModule:
    """Another module, with a list of the videos that losses are taken on."""

    def __init__(self, module: Any, rows: list[int]) -> None:
        self._module, self._rows = module, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def loss(self, batch: Batch, *arguments: Any) -> Tensor:
        self._rows += batch.index.tolist()
        loss: Tensor = self._module.loss(batch, *arguments)
        return loss


class _BeforeStep(Callback):
    """Called before the strategy's step."""

    def __init__(self, recorder: SearchRecorder) -> None:
        self.recorder = recorder
        self.generators: Any = None

    @override
    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        state = state_of(pl_module, self.recorder.strategy)
        self.recorder.steps[trainer.current_epoch, batch_idx] = Step(batch.index.tolist(), state)
        self.generators = global_generators()


class _AfterStep(Checkpoint):
    """Called after the strategy's step, as Lightning calls a Checkpoint last."""

    def __init__(self, recorder: SearchRecorder) -> None:
        self.recorder = recorder

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        groups = self.recorder.strategy.parameter_groups()
        joint = {id(parameter) for group in groups for parameter in group["params"]}
        named = self.recorder.strategy.architecture.named_parameters()
        self.recorder.jointly_trained = {name for name, parameter in named if id(parameter) in joint}

    @override
    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        step = self.recorder.steps[trainer.current_epoch, batch_idx]
        before = self.recorder.callbacks[0]
        assert isinstance(before, _BeforeStep)
        step.numbers_drawn = before.generators != global_generators()
        step.between = state_of(pl_module, self.recorder.strategy)

    @override
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, HashingModule)
        step = self.recorder.steps[trainer.current_epoch, batch_idx]
        step.route = frozen(pl_module.route)
        step.after = state_of(pl_module, self.recorder.strategy)

    @override
    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.recorder.scores[trainer.current_epoch] = {
            name: float(value) for name, value in sorted(trainer.callback_metrics.items())
        }


def state_of(module: L.LightningModule, strategy: SearchStrategy) -> dict[str, Any]:
    """The network's weights, gradients, buffers and modes, and the strategy's tensors, optimizer and other state."""
    network = module.get_submodule("network")
    parameters = dict(network.named_parameters())
    return {
        "weights": frozen(parameters),
        "gradients": frozen({name: parameter.grad for name, parameter in parameters.items()}),
        "buffers": frozen(dict(network.named_buffers())),
        "trained": {name: parameter.requires_grad for name, parameter in parameters.items()},
        "mode": {name: each.training for name, each in network.named_modules()},
        "architecture": frozen(strategy.architecture.state_dict()),
        "optimizer": None if strategy.optimizer is None else frozen(strategy.optimizer.state_dict()),
        "state_dict": frozen(strategy.state_dict()),
    }


def global_generators() -> list[Any]:
    """States of the global generators of Python and NumPy."""
    return [random.getstate(), pickle.dumps(np.random.get_state())]


def recorded_search(make: Make) -> SearchRecorder:
    """A short search, recorded."""
    recorder = SearchRecorder(make())
    with temporary_folder() as folder:
        run(recorder.strategy, SHORT, folder, recorder.callbacks)
        if recorder.strategy.uses_supernet:
            recorder.kept = read_tensors(folder / "search" / "best.pt")
    return recorder


@lru_cache(maxsize=2)
def shared_search(make: Make) -> SearchRecorder:
    """The same, shared by several checks; not to be changed."""
    return recorded_search(make)
