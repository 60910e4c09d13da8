"""What a strategy needs of others: the module that it steers, and the judge of finished candidates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import lightning as L
from torch import Tensor, nn

from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route, Routes
from avhash_nas.space import Architecture


class Searchable(Protocol):
    """What a strategy needs of the LightningModule that it steers; HashingModule is one.

    Attributes:
        network: The supernet.
        route: What the next weight step runs; of several routes, the loss is the mean of theirs.
        evaluation_routes: What a validation scores, by name; of several routes, the score is the mean of theirs.
    """

    network: nn.Module
    route: Routes | None
    evaluation_routes: Mapping[str, Routes | None]

    def attach(self, architecture: nn.Module, groups: list[dict[str, Any]]) -> None:
        """Train the parameters of `architecture` together with the weights, with their own optimizer settings."""

    def receive(self, batch: Batch) -> Batch:
        """A batch on the module's device and in its precision."""

    def augment(self, batch: Batch) -> Batch:
        """A batch as training sees it. Random: where several losses are taken on one batch, call it once."""

    def loss(self, batch: Batch, route: Route | None, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """The objective on the videos of all ranks, with the network in its present mode.

        Under several ranks each gives its share of the batch; the value is the same on all of them, and the mean over
        ranks of a gradient is the gradient of that value.

        Args:
            batch: This rank's share.
            route: What runs.
            parameters: In place of the network's own, by name; the network stays as it is.
        """

    def stop_point(self) -> None:
        """End with `Interrupted` if a stop was asked for; to be called between the units of long work."""


class Evaluator(Protocol):
    """Scores finished candidates, once the supernet is trained. It remembers its answers, across restarts too."""

    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """mAP@100 `retrieved` of each on val, with the supernet's weights: fast for many at once, same on all ranks."""

    def train(self, architecture: Architecture) -> float:
        """mAP@100 `retrieved` on val of one that is trained alone, by the recipe of fine-tuning, from fresh weights."""


def as_searchable(module: L.LightningModule) -> Searchable:
    """The module as what a strategy needs.

    Raises:
        AvnasError: It is none.
    """
    wanted = ("network", "route", "evaluation_routes", "attach", "receive", "augment", "loss", "stop_point")
    if not all(hasattr(module, name) for name in wanted):
        raise AvnasError(f"a search strategy steers a HashingModule, not a {type(module).__name__}")
    searchable: Searchable = module  # type: ignore[assignment]
    return searchable


@dataclass(frozen=True)
class SearchProgress:
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
    def fraction(self) -> float:
        """Part of the search that is done, in [0, 1]."""
        within = self.batch / self.batches if self.batches else 0.0
        return min(1.0, (self.epoch + within) / max(self.epochs, 1))

    @property
    def step(self) -> int:
        """Batches done since the search began."""
        return self.epoch * self.batches + self.batch


def search_progress(trainer: L.Trainer, batch: int | None = None) -> SearchProgress:
    """Where a Trainer's fit is; without a batch, at the end of the present epoch."""
    epochs = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else 1
    known = math.isfinite(trainer.num_training_batches)  # not before training, when Lightning tries out the validation
    batches = int(trainer.num_training_batches) if known else 0
    return SearchProgress(trainer.current_epoch, batches if batch is None else batch, epochs, batches)
