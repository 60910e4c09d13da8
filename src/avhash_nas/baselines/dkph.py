"""DKPH: Li et al., "Dual-Stream Knowledge-Preserving Hashing for Unsupervised Video Retrieval", ECCV 2022."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from avhash_nas.baselines.frame_network import FrameNetwork, FrameTransformer
from avhash_nas.baselines.masked_reconstruction import AnchorPairLoss, MaskedReconstruction
from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.networks import CodesAndSteps, Route, RoutedNetwork, hard_sign
from avhash_nas.objectives import triplet_margin

_MARGIN = 0.5
_TRIPLET = 0.1


class DKPH(FrameNetwork):
    """One transformer block, and one binary code from the hidden vectors of all frames by a linear map and `hard_sign`.

    The released state holds two embedding tables that nothing uses; they are left out here. The second, temporal
    stream and the decoder are parts of `DKPHLoss`.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        frames: T, the number of time steps of every video.
        bits: Code length q.
        modality: Input of the network.
        width: D, of the hidden vectors, even.
        dropout: See `FrameTransformer`.

    Raises:
        AvnasError: The width is odd.
    """

    default_components: ClassVar[Mapping[str, str]] = {
        "objective": "avhash_nas.baselines.DKPHLoss",
        "data.sampling": "avhash_nas.data.Shuffled",
    }

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        frames: int,
        bits: int,
        *,
        modality: Modality = "visual",
        width: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(visual_dim, audio_dim, bits, modality, width, frames)
        self.encoder = FrameTransformer(self.features_dim, width, dropout)
        self.hash = nn.Linear(frames * width, bits)

    @override
    def codes_of(self, hidden: Tensor) -> Tensor:
        return hard_sign(self.hash(hidden.flatten(1)))

    @override
    def codes_and_steps(
        self, visual: Tensor, audio: Tensor, route: Route | None = None, positions: Tensor | None = None
    ) -> CodesAndSteps:
        """Always raises AvnasError: the network has no codes of time steps."""
        raise AvnasError("DKPH codes whole videos: it has no codes of time steps, which reranking by frames needs")


class DKPHReconstruction(MaskedReconstruction[DKPH]):
    """Reconstructs each frame from the video's code and from q real values of the frame, the temporal stream."""

    network_class = DKPH

    @override
    def make_decoder(self, network: DKPH) -> None:
        self.temporal = nn.Linear(network.width, network.bits)
        self.decoder = nn.Linear(network.bits, network.features_dim)

    @override
    def reconstruct(self, network: DKPH, hidden: Tensor) -> tuple[Tensor, Tensor]:
        codes = network.codes_of(hidden)
        return codes, self.decoder(codes[:, None] + self.temporal(hidden))


class DKPHLoss(AnchorPairLoss[DKPH]):
    """Masked frames; anchors of the videos' clusters, and triplets with these; similar and dissimilar pairs.

    Stages, anchors and pairs are those of BTH. The released code has neither the first stage, nor the paper's
    Gaussian-adaptive graph and teacher: it reads anchors and pairs from files and refers to BTH for them. The first
    stage here trains this network to reconstruct masked frames.

    In a dissimilar pair, the first video should be nearer to its own anchor than to the second's, by a margin of 0.5.
    The released code also adds the margin, a constant, for similar pairs.

    Args:
        anchors: Number of clusters.
        alignment: Weight of the distance to the nearest anchor, summed over a pair's two videos, and of 0.1 times the
            hinge of the triplets.
        similarity: Weight of `pair_similarity`.
        mask_rate: Fraction of the frames that `mask_frames` selects.
        legacy_inplace_mask: Reconstruct the masked frames, as the released code does; see `MaskedReconstruction`.

    Raises:
        AvnasError: An option is out of its range.
    """

    network_class = DKPH

    def __init__(
        self,
        anchors: int = 2000,
        alignment: float = 0.9,
        similarity: float = 0.11,
        mask_rate: float = 0.15,
        *,
        legacy_inplace_mask: bool = False,
    ) -> None:
        part = DKPHReconstruction(mask_rate, legacy_inplace_mask=legacy_inplace_mask, anchors=anchors)
        super().__init__(part, anchors, similarity, alignment)

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        terms = self.terms(network, batch)
        dissimilar = terms.similarity < 0
        triplets = anchor_triplets(terms.hidden[::2], terms.anchors[::2], terms.anchors[1::2], dissimilar)
        near_anchors = terms.alignment + _TRIPLET * triplets
        return terms.error + self.alignment_weight * near_anchors + self.similarity_weight * terms.pairs


def anchor_triplets(hidden: Tensor, own: Tensor, others: Tensor, dissimilar: Tensor) -> Tensor:
    """Computes the mean over the pairs of max(0, 0.5 + |h - n1| - |h - n2|), where a similar pair counts 0.

    Args:
        hidden: Mean hidden vectors h of the pairs' first videos, (P, D).
        own: Their anchors n1, (P, D).
        others: Anchors n2 of the second videos, (P, D).
        dissimilar: Whether a pair is dissimilar, bool, (P,).

    Returns:
        A scalar.
    """
    near, far = functional.pairwise_distance(hidden, own), functional.pairwise_distance(hidden, others)
    return (triplet_margin(near, far, _MARGIN) * dissimilar).mean()
