"""What the losses of BTH, DKPH and MCMSH have in common: anchors, and videos drawn by the graph of these."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.baselines.frame_network import FrameNetwork
from avhash_nas.data import BatchSampling, HashingData
from avhash_nas.data.sampling import Positions
from avhash_nas.data.tuples import Tuples
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork
from avhash_nas.objectives import Objective
from avhash_nas.offline import AnchorGraph, k_means


class AnchoredObjective(Objective):
    """Clusters the training videos, and draws with each video of a batch others that are similar to it or not.

    What it keeps for this grows with the number of videos, not with its square.

    Args:
        anchors: Clusters, from 5 to the number of training videos. The published 2,000 are one for 23 videos of FCVID
            and for 5 of ActivityNet.

    Raises:
        AvnasError: There are fewer anchors than 5.

    Attributes:
        network_class: The networks that it trains.
        partners: k, how many videos come with each one.
        graph: Similar and dissimilar videos, by their positions in the training split.
    """

    network_class: ClassVar[type[FrameNetwork]]
    partners: ClassVar[int] = 1
    graph: AnchorGraph
    _anchors: Tensor
    _nearest: Tensor

    def __init__(self, anchors: int = 2000) -> None:
        super().__init__()
        if anchors < 5:
            raise AvnasError(f"{type(self).__name__}: anchors={anchors} must be at least 5")
        self.anchors = anchors

    @abstractmethod
    def latents(self, data: HashingData, network: FrameNetwork) -> NDArray[np.float32]:
        """The vectors of the training videos that are clustered, (V, D).

        Args:
            data: The dataset.
            network: As `prepare` is given it.
        """

    def targets(self, anchors: Tensor, network: FrameNetwork) -> Tensor:  # noqa: ARG002
        """What the mean hidden vector of a video should be like, for the videos of each anchor, (A, width).

        Args:
            anchors: Centers of the clusters, (A, D).
            network: The network that is trained.
        """
        return anchors

    def draw(self, positions: Positions, random: np.random.Generator) -> Positions:
        """The videos that come with some videos, (n, k): with equal chances, one that is similar or one that is not.

        Args:
            positions: Positions in the training split, (n,).
            random: Where the draws come from.
        """
        return self.graph.draw_pairs(positions, random)

    def prepare(self, data: HashingData, network: HashNetwork, seed: int) -> dict[str, Tensor]:
        """Clusters the training videos.

        Args:
            data: The dataset.
            network: The network of the pretraining, or the one that is about to be trained.
            seed: For the clustering.

        Returns:
            latents (V, D) and anchors (A, D).

        Raises:
            AvnasError: The network is another method's, or there are fewer training videos than anchors.
        """
        check_anchors(data, self.anchors)
        latents = self.latents(data, own_network(self, network, self.network_class))
        centers = k_means(latents, self.anchors, seed).centers
        return {"latents": torch.from_numpy(latents), "anchors": torch.from_numpy(centers)}

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:
        """Finds the nearest anchors of each training video.

        Args:
            data: The dataset.
            network: The network that is trained.
            prepared: What `prepare` gave.

        Raises:
            AvnasError: The network is another method's, or a video is similar to all others.
        """
        own = own_network(self, network, self.network_class)
        self.graph = AnchorGraph(prepared["latents"].numpy(), prepared["anchors"].numpy())
        rows = data.splits["train"]
        self._positions = np.full(len(data.ids), -1, np.int64)
        self._positions[rows] = np.arange(len(rows))
        nearest = torch.full((len(data.ids),), -1)
        nearest[torch.from_numpy(rows)] = torch.from_numpy(self.graph.nearest[:, 0])
        self.register_buffer("_anchors", self.targets(prepared["anchors"], own), persistent=False)
        self.register_buffer("_nearest", nearest, persistent=False)

    def sampling(self, chosen: BatchSampling) -> BatchSampling:
        """The chosen batches, each video followed by its partners.

        Args:
            chosen: Draws the videos that get partners.
        """
        return Tuples(chosen, self.draw, self.partners)

    def anchors_of(self, index: Tensor) -> Tensor:
        """The targets of the anchors nearest to some training videos, (B, width).

        Args:
            index: Their rows, (B,).
        """
        return self._anchors[self._nearest[index]]

    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        """+1 for pairs of training videos that are similar, -1 for others, (P,).

        Args:
            first: Rows, (P,).
            second: Rows, (P,).
        """
        similar = self.graph.are_similar(*(self._positions[index.cpu().numpy()] for index in (first, second)))
        return torch.from_numpy(np.where(similar, np.float32(1), np.float32(-1))).to(first.device)


def check_anchors(data: HashingData, anchors: int) -> None:
    """Refuses more anchors than there are training videos.

    Raises:
        AvnasError: So it is.
    """
    videos = len(data.splits["train"])
    if anchors > videos:
        raise AvnasError(
            f"objective.anchors={anchors}, but the training split has {videos} videos: take fewer, "
            f"for instance --objective.anchors={max(5, videos // 5)}"
        )


def own_network(objective: Objective, network: HashNetwork, kind: type[FrameNetwork]) -> FrameNetwork:
    """The network, which an objective can train if it is of a certain class.

    Raises:
        AvnasError: It is of another.
    """
    if not isinstance(network, kind):
        wanted, given = kind.__name__, type(network).__name__
        raise AvnasError(f"{type(objective).__name__} trains {wanted} networks alone, not {given}: --network={wanted}")
    return network
