"""What every objective has in common: a network and a batch of videos in, one number out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from avhash_nas.data import Batch, BatchSampling, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.networks import HashNetwork, RoutedNetwork


class Objective(nn.Module, ABC):
    """A loss over one batch of videos.

    A subclass sets itself up in its constructor, whose arguments become options of the command line
    (`--objective=InfoNCE --objective.temperature=0.2`), and implements `loss`. A loss over codes and labels alone is a
    `CodeObjective`. A stage works on a copy of the objective, in the order:

    1. `prepare(data, network, seed)` once, before training: offline work such as clustering. What it gives is kept in
       the stage's folder, and computed once for all ranks and restarts.
    2. `setup(data, network, prepared)` on every rank and at every start: make parameters of its own, such as a decoder
       that only training needs. The optimizer trains them with the weights, and checkpoints hold them.
    3. `sampling(chosen)`: which videos meet in a batch, if the objective has a say in it.
    4. `start_epoch(epoch)` before each epoch, then `loss` in each step, random by torch's generator alone.

    Attributes:
        default_components: Classes that other options of the command line take where nothing else is named, by option:
            `{"data.sampling": "avhash_nas.data.Shuffled"}`.
    """

    default_components: ClassVar[Mapping[str, str]] = {}

    def pretraining(self) -> "Objective | None":
        """The objective of a stage before this one, whose network `prepare` is given; by default there is none."""
        return None

    def prepare(self, data: HashingData, network: HashNetwork, seed: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Offline work before training; nothing by default.

        Args:
            data: The dataset; only the training split is to be used.
            network: The network of the pretraining, or the one that is about to be trained.
            seed: For everything random.

        Returns:
            Tensors by name, for `setup`.
        """
        return {}

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:
        """Make parameters and buffers of its own, torch's random numbers being seeded; nothing by default.

        Args:
            data: The dataset.
            network: The network that is trained.
            prepared: What `prepare` gave.

        Raises:
            AvnasError: The objective cannot train this network on these data.
        """

    def sampling(self, chosen: BatchSampling) -> BatchSampling:
        """How training batches are drawn, asked after `setup`.

        Args:
            chosen: What the user, or `default_components`, chose.
        """
        return chosen

    def start_epoch(self, epoch: int) -> None:
        """Told before each epoch, counted from 0; a resumed run is told the epoch that it is in."""

    @abstractmethod
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """Computes the loss of the global batch, which is the same on all ranks (see `avhash_nas.distributed`).

        Args:
            network: What is trained, in its present mode.
            batch: This rank's share.

        Returns:
            A scalar. It has a graph even where the batch gives it nothing to compare.
        """


class CodeObjective(Objective):
    """A loss over relaxed codes and labels alone. A subclass implements `forward`."""

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """The loss of the codes of all ranks' videos."""
        loss: Tensor = self(gather_rows(network.codes(batch.visual, batch.audio)), gather_rows(batch.labels))
        return loss

    @abstractmethod
    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            codes: Real-valued codes before the sign, shape (B, q).
            labels: Whether video b has class c, bool, shape (B, C).

        Returns:
            The loss, a scalar. It has a graph even where the batch gives it nothing to compare.
        """
