"""Reconstruction of masked frames from codes: the first stage, and a part of the loss, of BTH and DKPH."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from avhash_nas.baselines.anchored import AnchoredObjective, Network, check_anchors
from avhash_nas.baselines.frame_network import mean_hidden
from avhash_nas.data import Batch, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork, VideoNetwork
from avhash_nas.objectives import NetworkObjective, Objective, anchor_alignment, pair_similarity
from avhash_nas.objectives.frame_masking import masked


class MaskedView(NamedTuple):
    """Videos with masked frames.

    Attributes:
        codes: (B, q).
        hidden: Mean of the hidden vectors, (B, D).
        error: Squared error of the reconstructed frames, mean over all frames and features, (B,).
    """

    codes: Tensor
    hidden: Tensor
    error: Tensor


class MaskedReconstruction(NetworkObjective[Network]):
    """Mean squared error of all frames, reconstructed from the code of a video with masked frames.

    Args:
        rate: Fraction of the frames that `masked` selects, in [0, 1].
        legacy_inplace_mask: Compare with the masked frames instead of the clean ones, as the released code does: it
            masks the dataset itself, in place. Its data decay further with each pass; this is not imitated.
        anchors: Number of anchors of the stage behind this one, to refuse too small a dataset early.

    Raises:
        AvnasError: The rate is out of its range.
    """

    reads_labels = False

    def __init__(self, rate: float = 0.15, *, legacy_inplace_mask: bool = False, anchors: int = 0) -> None:
        super().__init__()
        if not 0 <= rate <= 1:
            raise AvnasError(f"mask_rate={rate} must be from 0 to 1")
        self.rate = rate
        self.legacy_inplace_mask = legacy_inplace_mask
        self.anchors = anchors

    @abstractmethod
    def make_decoder(self, network: Network) -> None:
        """Creates the layers that `reconstruct` needs."""

    @abstractmethod
    def reconstruct(self, network: Network, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Computes codes (B, q) and the frames reconstructed from them (B, T, F).

        Args:
            network: The network with the parameters in use.
            hidden: (B, T, D).
        """

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        check_anchors(data, self.anchors)
        self.make_decoder(self.own(network))

    def view(self, network: RoutedNetwork, batch: Batch) -> MaskedView:
        """Masks some frames of this rank's videos and reconstructs all."""
        return network.apply(lambda present: self._view(self.own(present), batch))

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        return gather_rows(self.view(network, batch).error).mean()

    def _view(self, network: Network, batch: Batch) -> MaskedView:
        frames = network.features(batch.visual, batch.audio)
        spoilt = masked(frames, self.rate)
        hidden = network.hidden(spoilt)
        codes, reconstructed = self.reconstruct(network, hidden)
        target = spoilt if self.legacy_inplace_mask else frames
        return MaskedView(codes, hidden.mean(dim=1), (reconstructed - target).square().mean(dim=(1, 2)))


class PairTerms(NamedTuple):
    """The terms that the losses of BTH and DKPH share, for the pairs of the global batch.

    Attributes:
        hidden: Mean hidden vectors, (2 P, D); the rows of a pair follow each other.
        anchors: Targets of the videos' nearest anchors, (2 P, D).
        similarity: +1 for similar pairs and -1 for others, (P,).
        error: Mean error of the reconstructed frames, a scalar.
        pairs: `pair_similarity` of the codes, a scalar.
        alignment: Distance to the nearest anchor, summed over a pair's two videos, a scalar.
    """

    hidden: Tensor
    anchors: Tensor
    similarity: Tensor
    error: Tensor
    pairs: Tensor
    alignment: Tensor


class AnchorPairLoss(AnchoredObjective[Network]):
    """The base class of the losses of BTH and DKPH: masked frames, pairs of videos, and their anchors.

    Training has three stages: a network learns to reconstruct masked frames; its mean hidden vectors are clustered; a
    new network is trained with the whole loss.

    Args:
        reconstruction: Loss of the first stage, and a term of this one.
        anchors: Number of clusters.
        similarity: Weight of `pair_similarity`.
        alignment: Weight of the distance to the nearest anchor, summed over a pair's two videos.

    Raises:
        AvnasError: There are fewer anchors than 5.
    """

    def __init__(
        self, reconstruction: MaskedReconstruction[Network], anchors: int, similarity: float, alignment: float
    ) -> None:
        super().__init__(anchors)
        self.reconstruction = reconstruction
        self.similarity_weight = similarity
        self.alignment_weight = alignment

    @override
    def pretraining(self) -> Objective:
        return self.reconstruction

    @override
    def latents(self, data: HashingData, network: Network) -> NDArray[np.float32]:
        return mean_hidden(data, data.splits["train"], network)

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        super().setup(data, network, prepared)
        self.reconstruction.setup(data, network, {})

    def terms(self, network: RoutedNetwork, batch: Batch) -> PairTerms:
        """Computes the shared terms for the pairs of the global batch."""
        codes, hidden, error = (gather_rows(each) for each in self.reconstruction.view(network, batch))
        index = gather_rows(batch.index)
        similarity, anchors = self.similarity(index[::2], index[1::2]), self.anchors_of(index)
        pairs = pair_similarity(codes[::2], codes[1::2], similarity)
        return PairTerms(hidden, anchors, similarity, error.mean(), pairs, 2 * anchor_alignment(hidden, anchors))
