"""What a search strategy and the training around it know of each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from avhash_nas.data import Batch, HashingData
from avhash_nas.networks import Route
from avhash_nas.space import Architecture


@dataclass(frozen=True)
class SearchProgress:
    """A point of a search.

    Attributes:
        epoch: Epochs done, from 0.
        batch: Batches done in this epoch, from 0.
        epochs: Epochs of the search.
        batches: Batches of an epoch; 0 if not known yet, and then only whole epochs count.
    """

    epoch: int
    batch: int
    epochs: int
    batches: int

    @property
    def fraction(self) -> float:
        """Fraction of the search that is done, in [0, 1]."""
        within = self.batch / self.batches if self.batches else 0.0
        return min(1.0, (self.epoch + within) / max(self.epochs, 1))

    @property
    def step(self) -> int:
        """Batches done since the search began."""
        return self.epoch * self.batches + self.batch


class Searchable(Protocol):
    """What a strategy may use of the module that trains the supernet; HashingModule implements it."""

    @property
    def network(self) -> nn.Module:
        """The supernet."""

    def receive(self, batch: Batch) -> Batch:
        """Move a batch to the module's device and convert it to its precision."""

    def augment(self, batch: Batch) -> Batch:
        """Augment a batch as training does. Random: to take several losses on one batch, call it once."""

    def loss(self, batch: Batch, route: Route | None, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """The objective on the videos of all ranks, with the network in its present mode.

        The value is the same on all ranks, and the mean over ranks of a gradient is the gradient of that value.

        Args:
            batch: This rank's share.
            route: Route through the network.
            parameters: By name, in place of the network's own, which stay as they are.
        """

    def stop_point(self) -> None:
        """Raise `Interrupted` if a stop was requested; call it between the units of long work."""


@dataclass(frozen=True)
class WeightOptimizer:
    """How the training steps the weights.

    Attributes:
        optimizer: Trains the weights, and the parameters of `SearchStrategy.parameter_groups`.
        clip: Limit of gradient clipping; None or 0 for no clipping.
        clip_by_value: Clip each element to [-clip, clip] instead of the norm of the whole gradient to `clip`.
        batches_per_step: Batches whose gradients are accumulated for one step.
    """

    optimizer: Optimizer
    clip: float | None = None
    clip_by_value: bool = False
    batches_per_step: int = 1


@dataclass(frozen=True)
class SearchContext:
    """The training that a strategy's own step is part of.

    It is passed to each call: a strategy does not keep it, as the module that holds the strategy may be copied.

    Attributes:
        module: Trains the supernet.
        weight_optimizer: How it steps the weights.
        data: The dataset; None if the training does not use a HashingData.
        held_out: Batches of the videos that do not train the weights, by number; None if all videos train them.
    """

    module: Searchable
    weight_optimizer: WeightOptimizer
    data: HashingData | None = None
    held_out: Callable[[int], Batch] | None = None

    def held_out_batch(self, progress: SearchProgress) -> Batch:
        """This rank's share of a batch of videos that do not train the weights; a function of `progress` alone.

        Only for strategies with a `train_fraction` below 1. The batch is not augmented.
        """
        assert self.held_out is not None, "train_fraction is 1: no videos are held out"
        return self.module.receive(self.held_out(progress.step))


class Evaluator(Protocol):
    """Scores finished architectures once the supernet is trained. It remembers its results, also across restarts."""

    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """mAP@100 `retrieved` of each on val with the supernet's weights; fast for many at once, equal on all ranks."""

    def train(self, architecture: Architecture) -> float:
        """mAP@100 `retrieved` on val after training one alone from fresh weights, by the fine-tuning recipe."""
