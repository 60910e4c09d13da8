"""BTH: Li et al., "Self-Supervised Video Hashing via Bidirectional Transformers", CVPR 2021."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from avhash_nas.baselines.frame_network import FrameNetwork, FrameTransformer
from avhash_nas.baselines.masked_reconstruction import MaskedReconstruction, PretrainedAnchors
from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.data import Batch
from avhash_nas.distributed import gather_rows
from avhash_nas.networks import CodesAndSteps, Route, RoutedNetwork, hard_sign
from avhash_nas.objectives.pairwise import anchor_alignment, pair_similarity


class BTH(FrameNetwork):
    """One transformer block, a binary code for each frame by a linear map and `hard_sign`, and their mean.

    The released state holds two embedding tables that nothing uses; they are not built. Nor is the decoder, which is a
    part of `BTHLoss`.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: What is looked at.
        width: D, of the hidden vectors, even.
        dropout: See `FrameTransformer`.

    Raises:
        AvnasError: The width is odd.
    """

    default_components: ClassVar[Mapping[str, str]] = {
        "objective": "avhash_nas.baselines.BTHLoss",
        "data.sampling": "avhash_nas.data.Shuffled",
    }
    encoder: FrameTransformer

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
        dims = {"visual_dim": visual_dim, "audio_dim": audio_dim, "bits": bits}
        super().__init__({**dims, "modality": modality, "width": width, "dropout": dropout})
        self.encoder = FrameTransformer(self.features_dim, width, dropout)
        self.hash = nn.Linear(width, bits)

    def step_codes(self, hidden: Tensor) -> Tensor:
        """Codes of frames, (B, T, q), -1 and +1.

        Args:
            hidden: (B, T, D).
        """
        return hard_sign(self.hash(hidden))

    def codes_of(self, hidden: Tensor) -> Tensor:
        """Means of the frames' codes, (B, q).

        Args:
            hidden: (B, T, D).
        """
        return self.step_codes(hidden).mean(dim=1)

    def codes_and_steps(
        self,
        visual: Tensor,
        audio: Tensor,
        route: Route | None = None,  # noqa: ARG002
        positions: Tensor | None = None,
    ) -> CodesAndSteps:
        """Codes of videos and of their frames, which are the ones averaged.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: Not used.
            positions: Which time steps of the whole video are given, shape (B, T); all, if None.
        """
        steps = self.step_codes(self.encoder(self.features(visual, audio), positions))
        return CodesAndSteps(steps.mean(dim=1), steps)


class BTHReconstruction(MaskedReconstruction):
    """Each frame is guessed from its own code by a linear map: the first of BTH's stages."""

    network_class = BTH

    def make_decoder(self, network: FrameNetwork) -> None:
        """Makes the linear map q -> F."""
        self.decoder = nn.Linear(network.bits, network.features_dim)

    def guess(self, network: FrameNetwork, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, q) and the frames that are guessed from the frames' codes (B, T, F).

        Args:
            network: With the parameters in use.
            hidden: (B, T, D).
        """
        assert isinstance(network, BTH)
        steps = network.step_codes(hidden)
        return steps.mean(dim=1), self.decoder(steps)


class BTHLoss(PretrainedAnchors):
    """Masked frames, similar and dissimilar pairs, and the anchors of the videos' clusters.

    In three stages: a network is trained to guess masked frames; its hidden vectors are clustered; a network is trained
    from the start with the whole loss. Similar and dissimilar videos are those of `AnchorGraph`.

    Args:
        anchors: Clusters.
        reconstruction: Weight of the guessed frames' error.
        similarity: Weight of the pairs' `pair_similarity`.
        alignment: Weight of the distance to the nearest anchor, added up over a pair's two videos.
        mask_rate: Part of the frames that is masked, swapped or, though counted, kept.
        legacy_inplace_mask: Guess the masked frames themselves, as the released code does; see `MaskedReconstruction`.

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
        super().__init__(part, anchors)
        self.reconstruction_weight = reconstruction
        self.similarity_weight = similarity
        self.alignment_weight = alignment

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """The weighted sum for the pairs of the global batch.

        Args:
            network: What is trained.
            batch: This rank's share.
        """
        codes, hidden, error = (gather_rows(each) for each in self.reconstruction.look(network, batch))
        index = gather_rows(batch.index)
        pairs = pair_similarity(codes[::2], codes[1::2], self.similarity(index[::2], index[1::2]))
        return (
            self.reconstruction_weight * error.mean()
            + self.similarity_weight * pairs
            + self.alignment_weight * 2 * anchor_alignment(hidden, self.anchors_of(index))
        )
