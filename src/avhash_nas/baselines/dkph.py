"""DKPH: Li et al., "Dual-Stream Knowledge-Preserving Hashing for Unsupervised Video Retrieval", ECCV 2022."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from avhash_nas.baselines.frame_network import FrameNetwork, FrameTransformer
from avhash_nas.baselines.masked_reconstruction import MaskedReconstruction, PretrainedAnchors
from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.data import Batch
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import CodesAndSteps, Route, RoutedNetwork, hard_sign
from avhash_nas.objectives.pairwise import anchor_alignment, pair_similarity, triplet_margin

_MARGIN = 0.5
_TRIPLET = 0.1


class DKPH(FrameNetwork):
    """One transformer block, and one binary code from the hidden vectors of all frames by a linear map and `hard_sign`.

    The released state holds two embedding tables that nothing uses; they are not built. Nor are the second, temporal
    stream and the decoder, which are parts of `DKPHLoss`.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        frames: T, time steps of every video.
        bits: Code length q.
        modality: What is looked at.
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
        dims = {"visual_dim": visual_dim, "audio_dim": audio_dim, "frames": frames, "bits": bits}
        super().__init__({**dims, "modality": modality, "width": width, "dropout": dropout})
        self.encoder = FrameTransformer(self.features_dim, width, dropout)
        self.hash = nn.Linear(frames * width, bits)

    def codes_of(self, hidden: Tensor) -> Tensor:
        """One code for all frames, (B, q), -1 and +1.

        Args:
            hidden: (B, T, D).
        """
        return hard_sign(self.hash(hidden.flatten(1)))

    def codes_and_steps(
        self,
        visual: Tensor,  # noqa: ARG002
        audio: Tensor,  # noqa: ARG002
        route: Route | None = None,  # noqa: ARG002
        positions: Tensor | None = None,  # noqa: ARG002
    ) -> CodesAndSteps:
        """There are no codes of time steps.

        Raises:
            AvnasError: Always.
        """
        raise AvnasError("DKPH codes whole videos and has no codes of time steps, which frames are reranked by")


class DKPHReconstruction(MaskedReconstruction):
    """Each frame is guessed from the video's code and, by the temporal stream, from q real values of its own."""

    network_class = DKPH

    def make_decoder(self, network: FrameNetwork) -> None:
        """Makes the linear maps D -> q, of the temporal stream, and q -> F."""
        self.temporal = nn.Linear(network.width, network.bits)
        self.decoder = nn.Linear(network.bits, network.features_dim)

    def guess(self, network: FrameNetwork, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, q) and the guessed frames (B, T, F).

        Args:
            network: With the parameters in use.
            hidden: (B, T, D).
        """
        codes = network.codes_of(hidden)
        return codes, self.decoder(codes[:, None] + self.temporal(hidden))


class DKPHLoss(PretrainedAnchors):
    """Masked frames; anchors of the videos' clusters, and triplets with these; similar and dissimilar pairs.

    Stages, anchors and pairs are BTH's. The released code has neither the stage before, nor the Gaussian-adaptive graph
    and the teacher of the paper: it reads anchors and pairs from files and refers to BTH for them. In place of what it
    leaves open, the first stage here trains this network to guess masked frames.

    In a dissimilar pair, the first video should be nearer to its own anchor than to the second's, by a margin of 0.5.
    The released code also adds the margin, a constant, for similar pairs.

    Args:
        anchors: Clusters.
        alignment: Weight of the distance to the nearest anchor, added up over a pair's two videos, and of 0.1 times the
            triplets' hinge.
        similarity: Weight of the pairs' `pair_similarity`.
        mask_rate: Part of the frames that is masked, swapped or, though counted, kept.
        legacy_inplace_mask: Guess the masked frames themselves, as the released code does; see `MaskedReconstruction`.

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
        super().__init__(part, anchors)
        self.alignment_weight = alignment
        self.similarity_weight = similarity

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """The weighted sum for the pairs of the global batch.

        Args:
            network: What is trained.
            batch: This rank's share.
        """
        codes, hidden, error = (gather_rows(each) for each in self.reconstruction.look(network, batch))
        index = gather_rows(batch.index)
        similarity = self.similarity(index[::2], index[1::2])
        anchors = self.anchors_of(index)
        triplets = anchor_triplets(hidden[::2], anchors[::2], anchors[1::2], similarity < 0)
        near_anchors = 2 * anchor_alignment(hidden, anchors) + _TRIPLET * triplets
        pairs = pair_similarity(codes[::2], codes[1::2], similarity)
        return error.mean() + self.alignment_weight * near_anchors + self.similarity_weight * pairs


def anchor_triplets(hidden: Tensor, own: Tensor, others: Tensor, dissimilar: Tensor) -> Tensor:
    """Mean over the pairs of max(0, 0.5 + |h - n1| - |h - n2|), where a similar pair counts 0.

    Args:
        hidden: Mean hidden vectors h of the pairs' first videos, (P, D).
        own: Their anchors n1, (P, D).
        others: Anchors n2 of the second videos, (P, D).
        dissimilar: Which pairs are dissimilar, bool, (P,).

    Returns:
        A scalar.
    """
    near, far = functional.pairwise_distance(hidden, own), functional.pairwise_distance(hidden, others)
    return (triplet_margin(near, far, _MARGIN) * dissimilar).mean()
