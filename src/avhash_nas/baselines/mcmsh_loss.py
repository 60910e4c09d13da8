"""How MCMSH is trained: clusters, pairs and quadruplets of videos, no reconstruction."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.baselines.anchored import AnchoredObjective
from avhash_nas.baselines.frame_network import FrameNetwork
from avhash_nas.baselines.mcmsh import MCMSH
from avhash_nas.data import Batch, HashingData
from avhash_nas.data.sampling import Positions
from avhash_nas.distributed import apply_to_all_rows, gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork, identity_sign
from avhash_nas.objectives.frame_masking import masked
from avhash_nas.objectives.pairwise import anchor_alignment, pair_similarity, quadruplet
from avhash_nas.offline import PCA, pooled_features

_VIDEOS = 5
_OF_PAIR = 2


class MCMSHLoss(AnchoredObjective):
    """Anchors of the videos' clusters, similar and dissimilar pairs, quantization, and quadruplets.

    What is clustered are the mean features of videos. An anchor's target for the hidden vectors is its projection on
    the anchors' D principal components; where the anchors span fewer dimensions, the others are 0.

    With each video of a batch come four: one that makes a pair with it and is similar or not, with equal chances; one
    that is similar, and two that are not. The second of these is drawn once more where it is similar to the first. As
    released, frames are masked in the videos of the pair, and anchors and quantization are asked of these two alone.
    Unlike there, the masking leaves the dataset alone, and the five go through the network in one batch, which batch
    normalization sees whole. And the sign is a constant in the quantization: as released, the straight-through gradient
    of the sign cancels that of the code, so that this term trains nothing, as with quantization=0 here.

    Args:
        anchors: Clusters.
        alignment: Weight of the distance to the nearest anchor, added up over a pair's two videos.
        similarity: Weight of the pairs' `pair_similarity`.
        quantization: Weight of the squared difference between code and sign, a mean over bits that is added up over a
            pair's two videos.
        quadruplets: Weight of `quadruplet`.
        mask_rate: Part of the frames that `masked` takes, in [0, 1].

    Raises:
        AvnasError: An option is out of its range.
    """

    network_class = MCMSH
    partners = _VIDEOS - 1

    def __init__(
        self,
        anchors: int = 2000,
        alignment: float = 0.8,
        similarity: float = 0.1,
        quantization: float = 0.01,
        quadruplets: float = 0.01,
        mask_rate: float = 0.15,
    ) -> None:
        super().__init__(anchors)
        if not 0 <= mask_rate <= 1:
            raise AvnasError(f"mask_rate={mask_rate} must be from 0 to 1")
        self.alignment_weight = alignment
        self.similarity_weight = similarity
        self.quantization_weight = quantization
        self.quadruplets_weight = quadruplets
        self.mask_rate = mask_rate

    def latents(self, data: HashingData, network: FrameNetwork) -> NDArray[np.float32]:
        """Mean features, (V, F).

        Args:
            data: The dataset.
            network: Its modalities count.
        """
        return pooled_features(data, data.splits["train"], network.modalities)

    def targets(self, anchors: Tensor, network: FrameNetwork) -> Tensor:
        """Principal components of the anchors, (A, width).

        Args:
            anchors: (A, F).
            network: The network that is trained.
        """
        centers = anchors.numpy()
        dims = min(network.width, *centers.shape)
        targets = torch.zeros(len(centers), network.width)
        targets[:, :dims] = torch.from_numpy(PCA.fit(centers, dims).apply(centers))
        return targets

    def draw(self, positions: Positions, random: np.random.Generator) -> Positions:
        """The four videos that come with each of some videos, (n, 4).

        Args:
            positions: Positions in the training split, (n,).
            random: Where the draws come from.
        """
        partner = self.graph.draw_pairs(positions, random)[:, 0]
        similar = self.graph.draw_similar(positions, random)
        dissimilar, other = (self.graph.draw_dissimilar(positions, random) for _ in range(2))
        again = self.graph.draw_dissimilar(positions, random)
        other = np.where(self.graph.are_similar(dissimilar, other), again, other)
        return np.stack([partner, similar, dissimilar, other], axis=1)

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """The weighted sum for the tuples of the global batch.

        Args:
            network: What is trained.
            batch: This rank's share.
        """
        place = apply_to_all_rows(_places, batch.index)
        own = network.apply(lambda present: self._look(cast(FrameNetwork, present), batch, place < _OF_PAIR))
        codes, hidden = (gather_rows(each).view(-1, _VIDEOS, each.shape[1]) for each in own)
        index = gather_rows(batch.index).view(-1, _VIDEOS)
        anchor, partner, similar, dissimilar, other = codes.unbind(dim=1)
        pair, pair_index = codes[:, :_OF_PAIR], index[:, :_OF_PAIR].flatten()
        alignment = anchor_alignment(hidden[:, :_OF_PAIR].flatten(0, 1), self.anchors_of(pair_index))
        quantization = (pair - identity_sign(pair.detach())).square().mean()
        loss: Tensor = (
            self.alignment_weight * 2 * alignment
            + self.similarity_weight * pair_similarity(anchor, partner, self.similarity(index[:, 0], index[:, 1]))
            + self.quantization_weight * 2 * quantization
            + self.quadruplets_weight * quadruplet(anchor, similar, dissimilar, other)
        )
        return loss

    def _look(self, network: FrameNetwork, batch: Batch, of_pair: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and mean hidden vectors of this rank's videos."""
        frames = network.features(batch.visual, batch.audio)
        hidden = network.hidden(torch.where(of_pair[:, None, None], masked(frames, self.mask_rate), frames))
        return network.codes_of(hidden), hidden.mean(dim=1)


def _places(index: Tensor) -> Tensor:
    """Which of its tuple each video of a global batch is."""
    return torch.arange(len(index), device=index.device) % _VIDEOS
