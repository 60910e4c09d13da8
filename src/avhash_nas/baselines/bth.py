"""BTH: Li et al., "Self-Supervised Video Hashing via Bidirectional Transformers", CVPR 2021."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.frame_network import FrameCodeNetwork, FrameTransformer
from avhash_nas.baselines.masked_reconstruction import AnchorPairLoss, MaskedReconstruction
from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.data import Batch
from avhash_nas.networks import RoutedNetwork, hard_sign


class BTH(FrameCodeNetwork):
    """One transformer block, a binary code for each frame by a linear map and `hard_sign`, and their mean.

    The released state holds two embedding tables that nothing uses; they are left out here. The decoder is a part of
    `BTHLoss`.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network.
        width: D, of the hidden vectors, even.
        dropout: See `FrameTransformer`.

    Raises:
        AvnasError: The width is odd.
    """

    default_components: ClassVar[Mapping[str, str]] = {
        "objective": "avhash_nas.baselines.BTHLoss",
        "data.sampling": "avhash_nas.data.Shuffled",
    }

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        *,
        modality: Modality = "visual",
        width: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(visual_dim, audio_dim, bits, modality, width)
        self.encoder = FrameTransformer(self.features_dim, width, dropout)
        self.hash = nn.Linear(width, bits)

    @override
    def step_codes(self, hidden: Tensor) -> Tensor:
        return hard_sign(self.hash(hidden))


class BTHReconstruction(MaskedReconstruction[BTH]):
    """The first stage of BTH: a linear map reconstructs each frame from the code of that frame."""

    network_class = BTH

    @override
    def make_decoder(self, network: BTH) -> None:
        self.decoder = nn.Linear(network.bits, network.features_dim)

    @override
    def reconstruct(self, network: BTH, hidden: Tensor) -> tuple[Tensor, Tensor]:
        steps = network.step_codes(hidden)
        return steps.mean(dim=1), self.decoder(steps)


class BTHLoss(AnchorPairLoss[BTH]):
    """Masked frames, similar and dissimilar pairs by `AnchorGraph`, and the anchors of the videos' clusters.

    The stages are those of `AnchorPairLoss`.

    Args:
        anchors: Number of clusters.
        reconstruction: Weight of the reconstruction error.
        similarity: Weight of `pair_similarity`.
        alignment: Weight of the distance to the nearest anchor, summed over a pair's two videos.
        mask_rate: Fraction of the frames that `mask_frames` selects.
        legacy_inplace_mask: Reconstruct the masked frames, as the released code does; see `MaskedReconstruction`.

    Raises:
        AvnasError: An option is out of its range.
    """

    network_class = BTH

    def __init__(
        self,
        anchors: int = 2000,
        reconstruction: float = 0.92,
        similarity: float = 0.08,
        alignment: float = 0.8,
        mask_rate: float = 0.15,
        *,
        legacy_inplace_mask: bool = False,
    ) -> None:
        part = BTHReconstruction(mask_rate, legacy_inplace_mask=legacy_inplace_mask, anchors=anchors)
        super().__init__(part, anchors, similarity, alignment)
        self.reconstruction_weight = reconstruction

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        terms = self.terms(network, batch)
        loss = self.reconstruction_weight * terms.error + self.similarity_weight * terms.pairs
        return loss + self.alignment_weight * terms.alignment
