"""Frames guessed from codes while some are masked: the first stage, and a part of the loss, of BTH and DKPH."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.baselines.anchored import AnchoredObjective, check_anchors, own_network
from avhash_nas.baselines.frame_network import FrameNetwork, mean_hidden
from avhash_nas.data import Batch, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork
from avhash_nas.objectives import Objective
from avhash_nas.objectives.frame_masking import masked


class MaskedView(NamedTuple):
    """Videos of which some frames are masked.

    Attributes:
        codes: (B, q).
        hidden: Mean of the hidden vectors, (B, D).
        error: Squared error of the guessed frames, mean over all frames and features, (B,).
    """

    codes: Tensor
    hidden: Tensor
    error: Tensor


class MaskedReconstruction(Objective):
    """Mean squared error of all frames, guessed from the code of a video of which some frames are masked.

    Args:
        rate: Part of the frames that `masked` takes, in [0, 1].
        legacy_inplace_mask: Compare with the masked frames instead of the clean ones, as the released code does: it
            masks the dataset itself, in place. That its data decay further with each look at a video is not imitated.
        anchors: That the training after this one will want, refused early where there are fewer videos.

    Raises:
        AvnasError: The rate is out of its range.

    Attributes:
        network_class: The networks that it trains.
    """

    network_class: ClassVar[type[FrameNetwork]]

    def __init__(self, rate: float = 0.15, *, legacy_inplace_mask: bool = False, anchors: int = 0) -> None:
        super().__init__()
        if not 0 <= rate <= 1:
            raise AvnasError(f"mask_rate={rate} must be from 0 to 1")
        self.rate = rate
        self.legacy_inplace_mask = legacy_inplace_mask
        self.anchors = anchors

    @abstractmethod
    def make_decoder(self, network: FrameNetwork) -> None:
        """Makes the layers that `guess` needs."""

    @abstractmethod
    def guess(self, network: FrameNetwork, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, q) and the frames that are guessed from them (B, T, F).

        Args:
            network: With the parameters in use.
            hidden: (B, T, D).
        """

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:  # noqa: ARG002
        """Makes the decoder.

        Args:
            data: The dataset.
            network: The network that is trained.
            prepared: Not used.

        Raises:
            AvnasError: The network is another method's, or there are fewer training videos than anchors.
        """
        check_anchors(data, self.anchors)
        self.make_decoder(own_network(self, network, self.network_class))

    def look(self, network: RoutedNetwork, batch: Batch) -> MaskedView:
        """Masks some frames of this rank's videos and guesses all.

        Args:
            network: What is trained.
            batch: This rank's share.
        """
        return network.apply(lambda present: self._look(cast(FrameNetwork, present), batch))

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """The mean error.

        Args:
            network: What is trained.
            batch: This rank's share.
        """
        return gather_rows(self.look(network, batch).error).mean()

    def _look(self, network: FrameNetwork, batch: Batch) -> MaskedView:
        frames = network.features(batch.visual, batch.audio)
        spoilt = masked(frames, self.rate)
        hidden = network.hidden(spoilt)
        codes, guessed = self.guess(network, hidden)
        target = spoilt if self.legacy_inplace_mask else frames
        return MaskedView(codes, hidden.mean(dim=1), (guessed - target).square().mean(dim=(1, 2)))


class PretrainedAnchors(AnchoredObjective):
    """Clusters what a network has learned that was trained to guess masked frames.

    Args:
        reconstruction: Loss of that training, and a part of this one's.
        anchors: Clusters.

    Raises:
        AvnasError: There are fewer anchors than 5.
    """

    def __init__(self, reconstruction: MaskedReconstruction, anchors: int) -> None:
        super().__init__(anchors)
        self.reconstruction = reconstruction

    def pretraining(self) -> Objective:
        """Masked frames alone."""
        return self.reconstruction

    def latents(self, data: HashingData, network: FrameNetwork) -> NDArray[np.float32]:
        """Mean hidden vectors, (V, D).

        Args:
            data: The dataset.
            network: The network of the pretraining.
        """
        return mean_hidden(data, data.splits["train"], network)

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:
        """Makes the decoder and finds the nearest anchors.

        Args:
            data: The dataset.
            network: The network that is trained.
            prepared: What `prepare` gave.

        Raises:
            AvnasError: The network is another method's, or a video is similar to all others.
        """
        super().setup(data, network, prepared)
        self.reconstruction.setup(data, network, {})
