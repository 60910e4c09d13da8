"""The interface of search strategies."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route
from avhash_nas.space import Architecture, SearchSpace


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


class Searchable(Protocol):
    """What a strategy needs of the LightningModule that it steers; HashingModule is one."""

    network: nn.Module
    route: Route | None
    evaluation_routes: Mapping[str, Route | None]

    def attach(self, architecture: nn.Module, groups: list[dict[str, Any]]) -> None:
        """Train the parameters of `architecture` together with the weights, with their own optimiser settings."""


class SearchStrategy(Callback, ABC):
    """Finds an architecture while a Trainer trains the supernet's weights.

    One strategy serves one search. The order of calls:

    1. `begin(space, seed)` once, before training: make the architecture parameters and all other state.
    2. `parameter_groups()`: which of them the weights' optimiser trains in the same step, with their own settings.
    3. Before each weight step `route(moment)`, the route of that step.
    4. At each validation `evaluation_routes(moment)`, the routes that are scored, by name, and `summary(moment)`.
    5. `derive()`, at any time: the architecture that the present state stands for.

    The state lies in `architecture`, an nn.Module which is saved and restored with the weights; what is no tensor
    goes through Callback.state_dict. Sampling is counter-based on (seed, epoch, batch), so that all ranks draw alike
    and a resumed search goes on as if never stopped. A strategy that takes steps of its own does so in Lightning's
    hooks (`on_train_batch_start`, `on_train_epoch_end`, ...).

    Attributes:
        selects: Name of the evaluation route whose score on val decides which epoch's state is kept.
        architecture: Architecture parameters and other tensors; empty by default.
        space: What is searched. Set by `begin`.
        seed: Set by `begin`.
    """

    selects: str = "derived"
    architecture: nn.Module
    space: SearchSpace
    seed: int

    def begin(self, space: SearchSpace, seed: int) -> None:
        """Prepare for a search; called once, before training.

        Args:
            space: What is searched.
            seed: For everything random.
        """
        self.space = space
        self.seed = seed
        self.architecture = nn.Module()

    @abstractmethod
    def route(self, moment: Moment) -> Route:
        """The route of the next weight step: a pure function of the state, the seed and the moment."""

    @abstractmethod
    def derive(self) -> Architecture:
        """The architecture that the present state stands for: deterministic, repeatable, changes nothing."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups, in torch's form, for the optimiser that trains the weights; none by default.

        A group may hold `factor`: a function from the part of the search that is done, in [0, 1], to what its learning
        rate is multiplied by, which is 1 otherwise.
        """
        return []

    def evaluation_routes(self, moment: Moment) -> Mapping[str, Route]:  # noqa: ARG002
        """The routes that a validation scores, by name; the derived architecture by default."""
        return {"derived": self.space.indices(self.derive())}

    def summary(self, moment: Moment) -> dict[str, float]:  # noqa: ARG002
        """Numbers that describe the state, logged once an epoch; the skips of the derived architecture by default."""
        return {"skips": float(sum(candidate == "skip" for candidate in self.derive().values()))}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Lightning's hook: bind to the module's supernet before optimisers are made."""
        if stage != "fit":
            return
        module = as_searchable(pl_module)
        if not hasattr(self, "space"):
            space = getattr(module.network, "space", None)
            if not isinstance(space, SearchSpace) or not space.choices:
                raise AvnasError(f"{type(self).__name__}: the network leaves nothing to choose; give it a search space")
            self.begin(space, int(getattr(pl_module, "seed", 0)))
        module.attach(self.architecture, self.parameter_groups())

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Lightning's hook: set the route of the step."""
        as_searchable(pl_module).route = self.route(moment_of(trainer, batch_idx))

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook: set the routes that are scored."""
        as_searchable(pl_module).evaluation_routes = self.evaluation_routes(moment_of(trainer))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook: log the summary."""
        values = self.summary(moment_of(trainer))
        pl_module.log_dict({f"architecture/{name}": value for name, value in values.items()}, rank_zero_only=True)


def moment_of(trainer: L.Trainer, batch: int | None = None) -> Moment:
    """Where a Trainer's fit is; without a batch, at the end of the present epoch."""
    epochs = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else 1
    known = math.isfinite(trainer.num_training_batches)  # not before training, when Lightning tries out the validation
    batches = int(trainer.num_training_batches) if known else 0
    return Moment(trainer.current_epoch, batches if batch is None else batch, epochs, batches)


def as_searchable(module: L.LightningModule) -> Searchable:
    """The module as what a strategy needs.

    Raises:
        AvnasError: It is none.
    """
    if not all(hasattr(module, name) for name in ("network", "route", "evaluation_routes", "attach")):
        raise AvnasError(f"a search strategy steers a HashingModule, not a {type(module).__name__}")
    searchable: Searchable = module  # type: ignore[assignment]
    return searchable
