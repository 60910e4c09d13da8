"""The base class of the losses of BTH, DKPH and MCMSH: anchors, and tuples of videos drawn by the anchor graph."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from avhash_nas.baselines.frame_network import FrameNetwork
from avhash_nas.data import BatchSampling, HashingData
from avhash_nas.data.sampling import Positions
from avhash_nas.data.tuples import Tuples
from avhash_nas.errors import AvnasError
from avhash_nas.networks import VideoNetwork
from avhash_nas.objectives import NetworkObjective
from avhash_nas.offline import AnchorGraph, k_means

Network = TypeVar("Network", bound=FrameNetwork)


class AnchoredObjective(NetworkObjective[Network]):
    """Clusters the training videos, and adds similar and dissimilar videos to each video of a batch.

    Its memory grows with the number of videos, not with the square of it.

    Args:
        anchors: Number of clusters, from 5 to the number of training videos. The published 2,000 are one for 23 videos
            of FCVID and for 5 of ActivityNet.

    Raises:
        AvnasError: There are fewer anchors than 5.

    Attributes:
        partners: k, number of videos drawn for each video of a batch.
        graph: Similar and dissimilar videos, by their positions in the training split.
    """

    reads_labels = False
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
    def latents(self, data: HashingData, network: Network) -> NDArray[np.float32]:
        """Computes the vectors of the training videos that are clustered, (V, D).

        Args:
            data: The dataset.
            network: The network given to `prepare`.
        """

    def targets(self, anchors: Tensor, network: Network) -> Tensor:  # noqa: ARG002
        """Computes the target of the mean hidden vectors of each anchor's videos, (A, width).

        Args:
            anchors: Centers of the clusters, (A, D).
            network: The network in training.
        """
        return anchors

    def draw(self, positions: Positions, random: np.random.Generator) -> Positions:
        """Draws the partners of videos, (n, k); by default one, which is similar with probability 1/2.

        Args:
            positions: Positions in the training split, (n,).
            random: Generator of the draws.
        """
        return self.graph.draw_pairs(positions, random)

    @override
    def prepare(self, data: HashingData, network: VideoNetwork, seed: int) -> dict[str, Tensor]:
        check_anchors(data, self.anchors)
        latents = self.latents(data, self.own(network))
        centers = k_means(latents, self.anchors, seed).centers
        return {"latents": torch.from_numpy(latents), "anchors": torch.from_numpy(centers)}

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        own = self.own(network)
        self.graph = AnchorGraph(prepared["latents"].numpy(), prepared["anchors"].numpy())
        rows = data.splits["train"]
        self._positions = np.full(len(data.ids), -1, np.int64)
        self._positions[rows] = np.arange(len(rows))
        nearest = torch.full((len(data.ids),), -1)
        nearest[torch.from_numpy(rows)] = torch.from_numpy(self.graph.nearest[:, 0])
        self.register_buffer("_anchors", self.targets(prepared["anchors"], own), persistent=False)
        self.register_buffer("_nearest", nearest, persistent=False)

    @override
    def sampling(self, chosen: BatchSampling) -> BatchSampling:
        return Tuples(chosen, self.draw, self.partners)

    def anchors_of(self, index: Tensor) -> Tensor:
        """Looks up the targets of the anchors nearest to training videos, (B, width).

        Args:
            index: Rows of the videos, (B,).
        """
        return self._anchors[self._nearest[index]]

    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        """Computes +1 for pairs of similar training videos and -1 for other pairs, (P,).

        Args:
            first: Rows, (P,).
            second: Rows, (P,).
        """
        similar = self.graph.are_similar(*(self._positions[index.cpu().numpy()] for index in (first, second)))
        return torch.from_numpy(np.where(similar, np.float32(1), np.float32(-1))).to(first.device)


def check_anchors(data: HashingData, anchors: int) -> None:
    """Raises AvnasError if there are more anchors than training videos."""
    videos = len(data.splits["train"])
    if anchors > videos:
        raise AvnasError(
            f"objective.anchors={anchors}, but the training split has {videos} videos: take fewer, "
            f"for instance --objective.anchors={max(5, videos // 5)}"
        )
