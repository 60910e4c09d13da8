"""MCMSH's loss: clusters, pairs and quadruplets of videos; no reconstruction."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from avhash_nas.baselines.anchored import AnchoredObjective
from avhash_nas.baselines.mcmsh import MCMSH
from avhash_nas.data import Batch, HashingData
from avhash_nas.data.sampling import Positions
from avhash_nas.distributed import apply_to_all_rows, gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork, identity_sign
from avhash_nas.objectives import anchor_alignment, pair_similarity, quadruplet
from avhash_nas.objectives.frame_masking import masked
from avhash_nas.offline import PCA, pooled_features

_VIDEOS = 5
_OF_PAIR = 2


class MCMSHLoss(AnchoredObjective[MCMSH]):
    """Anchors of the videos' clusters, similar and dissimilar pairs, quantization, and quadruplets.

    The mean features of videos are clustered. The target of the hidden vectors is the projection of an anchor on the
    first D principal components of all anchors; where the anchors span fewer dimensions, the other entries are 0.

    Each video of a batch brings four others: one that forms a pair with it and is similar with probability 1/2; one
    that is similar, and two that are dissimilar. The second of these is drawn once more if it is similar to the first.
    As in the released code, only the two videos of the pair have masked frames and enter the anchor and quantization
    terms. The released code differs in three points: it masks the dataset itself; it runs the five videos one after the
    other, so that batch normalization sees them apart; and in its quantization term the straight-through gradient of
    the sign cancels that of the code, so that the term trains nothing. Here the sign is a constant in that term.

    Args:
        anchors: Number of clusters.
        alignment: Weight of the distance to the nearest anchor, summed over a pair's two videos.
        similarity: Weight of `pair_similarity`.
        quantization: Weight of the squared difference between code and sign: mean over bits, summed over a pair's two
            videos.
        quadruplets: Weight of `quadruplet`.
        mask_rate: Fraction of the frames that `masked` selects, in [0, 1].

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

    @override
    def latents(self, data: HashingData, network: MCMSH) -> NDArray[np.float32]:
        return pooled_features(data, data.splits["train"], network.modalities)

    @override
    def targets(self, anchors: Tensor, network: MCMSH) -> Tensor:
        centers = anchors.numpy()
        dims = min(network.width, *centers.shape)
        targets = torch.zeros(len(centers), network.width)
        targets[:, :dims] = torch.from_numpy(PCA.fit(centers, dims).apply(centers))
        return targets

    @override
    def draw(self, positions: Positions, random: np.random.Generator) -> Positions:
        partner = self.graph.draw_pairs(positions, random)[:, 0]
        similar = self.graph.draw_similar(positions, random)
        dissimilar, other = (self.graph.draw_dissimilar(positions, random) for _ in range(2))
        again = self.graph.draw_dissimilar(positions, random)
        other = np.where(self.graph.are_similar(dissimilar, other), again, other)
        return np.stack([partner, similar, dissimilar, other], axis=1)

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        place = apply_to_all_rows(_places, batch.index)
        views = network.apply(lambda present: self._view(self.own(present), batch, place < _OF_PAIR))
        codes, hidden = (gather_rows(each).view(-1, _VIDEOS, each.shape[1]) for each in views)
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

    def _view(self, network: MCMSH, batch: Batch, of_pair: Tensor) -> tuple[Tensor, Tensor]:
        """Computes codes and mean hidden vectors of this rank's videos."""
        frames = network.features(batch.visual, batch.audio)
        hidden = network.hidden(torch.where(of_pair[:, None, None], masked(frames, self.mask_rate), frames))
        return network.codes_of(hidden), hidden.mean(dim=1)


def _places(index: Tensor) -> Tensor:
    """Computes the position of each video of a global batch in its tuple."""
    return torch.arange(len(index), device=index.device) % _VIDEOS
