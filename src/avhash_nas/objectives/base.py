"""The base classes of all losses: a network and a batch of videos in, one number out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.data import Batch, BatchSampling, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork, VideoNetwork

Network = TypeVar("Network", bound=VideoNetwork)


class Objective(nn.Module, ABC):
    """A loss over one batch of videos.

    A subclass sets itself up in its constructor, whose arguments become options of the command line
    (`--objective=InfoNCE --objective.temperature=0.2`), and implements `loss`. A loss over codes and labels alone is a
    `CodeObjective`. A stage works on a copy of the objective, in the order:

    1. `prepare(data, network, seed)` once, before training: offline work such as clustering. The result is stored in
       the stage's folder, and computed once for all ranks and restarts.
    2. `setup(data, network, prepared)` on every rank and at every start: create the objective's own parameters, such as
       a decoder that only training needs. The optimizer trains them with the weights, and checkpoints hold them.
    3. `sampling(chosen)`: choose which videos share a batch.
    4. `start_epoch(epoch)` before each epoch, then `loss` in each step; all randomness comes from torch's generator.

    Attributes:
        network_class: The networks that the objective trains: those that give codes, unless a subclass says otherwise.
        default_components: Classes that other options of the command line default to, by option:
            `{"data.sampling": "avhash_nas.data.Shuffled"}`.
        reads_labels: Whether it reads labels. If not, training videos may lack them.
    """

    network_class: ClassVar[type[Any]] = HashNetwork
    default_components: ClassVar[Mapping[str, str]] = {}
    reads_labels: ClassVar[bool] = True

    def check(self, network: VideoNetwork) -> None:
        """Raises AvnasError unless the network is of a class that the objective trains."""
        if not isinstance(network, self.network_class):
            expected = self.network_class.__name__
            raise AvnasError(
                f"{type(self).__name__} trains {expected} networks only, not {type(network).__name__}: "
                f"--network={expected}"
            )

    def check_data(self, data: HashingData) -> None:
        """Raises AvnasError for data on which the objective cannot train; called before anything is written."""

    def pretraining(self) -> "Objective | None":
        """Returns the objective of a stage before this one, whose network `prepare` gets; None by default."""
        return None

    def prepare(self, data: HashingData, network: VideoNetwork, seed: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Offline work before training; nothing by default.

        Args:
            data: The dataset; only the training split may be used.
            network: The network of the pretraining stage, or else the one to be trained.
            seed: Seed of everything random.

        Returns:
            Tensors by name, for `setup`.
        """
        return {}

    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        """Creates the objective's own parameters and buffers, with torch's generator seeded; none by default.

        Args:
            data: The dataset.
            network: The network to be trained.
            prepared: The result of `prepare`.

        Raises:
            AvnasError: The objective cannot train this network on these data.
        """

    def sampling(self, chosen: BatchSampling) -> BatchSampling:
        """Returns the sampling of training batches; called after `setup`.

        Args:
            chosen: The choice of the user or of `default_components`.
        """
        return chosen

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch, counted from 0; a resumed run calls it with its current epoch."""

    def summary(self) -> dict[str, float]:
        """Values to log at each validation, such as learned weights; none by default."""
        return {}

    @abstractmethod
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """Computes the loss of the global batch, which is the same on all ranks (see `avhash_nas.distributed`).

        Args:
            network: The network in training, in its current mode.
            batch: This rank's share of the batch.

        Returns:
            A scalar. It has a graph even if the batch has nothing to compare.
        """


class NetworkObjective(Objective, Generic[Network]):
    """A loss that reads more than codes from one class of networks, `network_class`."""

    def own(self, network: VideoNetwork) -> Network:
        """Returns the network as one of its class.

        Raises:
            AvnasError: The network has another class.
        """
        self.check(network)
        return cast(Network, network)

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        self.own(network)


class CodeObjective(Objective):
    """A loss over relaxed codes and labels only. A subclass implements `forward`."""

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        loss: Tensor = self(gather_rows(network.codes(batch.visual, batch.audio)), gather_rows(batch.labels))
        return loss

    @abstractmethod
    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            codes: Real-valued codes before the sign, shape (B, q).
            labels: Whether video b has class c, bool, shape (B, C).

        Returns:
            A scalar. It has a graph even if the batch has nothing to compare.
        """
