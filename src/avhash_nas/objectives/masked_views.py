"""Two views of each video that show different time steps, and the losses on them that ConMH and S5VH share."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.data import Batch, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork, VideoNetwork, features_dim, features_of
from avhash_nas.objectives.base import NetworkObjective
from avhash_nas.objectives.debiased_contrastive import check_contrast, debiased_contrastive
from avhash_nas.objectives.reconstruction import StepDecoder, check_decoder, reconstruction_error


class MaskedViews(NamedTuple):
    """The visible and the masked time steps of two views of B videos, ascending within a view of a video.

    Attributes:
        visible: int64, shape (2, B, T - m).
        masked: int64, shape (2, B, m).
    """

    visible: Tensor
    masked: Tensor


def masked_steps(frames: int, ratio: float) -> int:
    """Computes m = floor(ratio * T), the number of time steps that a view hides.

    Raises:
        AvnasError: A view would show nothing or hide nothing.

    >>> masked_steps(25, 0.75)
    18
    """
    masked = int(ratio * frames)
    if not 1 <= masked < frames:
        raise AvnasError(
            f"objective.mask={ratio} hides {masked} of {frames} time steps; a view must hide one and show one at least"
        )
    return masked


def masked_views(videos: int, frames: int, ratio: float, device: torch.device | None = None) -> MaskedViews:
    """Draws two views of each video from torch's generator.

    The time steps of a video are shuffled; the first view shows the first T - m of them, the second view the last
    T - m. Up to m = T / 2 each time step is in at least one view; from there on, in at most one.

    Args:
        videos: B.
        frames: T.
        ratio: Fraction of the time steps that a view hides.
        device: Device of the result.

    Raises:
        AvnasError: A view would show nothing or hide nothing.
    """
    masked = masked_steps(frames, ratio)
    order = torch.rand(videos, frames, device=device).argsort(dim=1)
    hidden = torch.stack([order[:, frames - masked :], order[:, :masked]])
    shown = torch.stack([order[:, : frames - masked], order[:, masked:]])
    return MaskedViews(shown.sort(dim=2).values, hidden.sort(dim=2).values)


def at_positions(features: Tensor, positions: Tensor) -> Tensor:
    """Selects the time steps of two views.

    Args:
        features: Shape (B, T, F).
        positions: Shape (2, B, S).

    Returns:
        Shape (2, B, S, F).
    """
    videos = torch.arange(len(features), device=features.device)[:, None]
    return features[videos, positions]


class TwoViews(NamedTuple):
    """The outputs for two views of all ranks' videos.

    Attributes:
        codes: Relaxed codes of the first and of the second views, shape (B, q) each.
        reconstruction: Masked reconstruction error, first views plus second views, mean over the videos, a scalar.
    """

    codes: tuple[Tensor, Tensor]
    reconstruction: Tensor


class TwoViewObjective(NetworkObjective[HashNetwork]):
    """Masked reconstruction of two views of each video, and the debiased contrastive loss of their codes.

    For any network that has a code for each time step; labels are never read. It owns the decoder, layers over the
    codes of the visible time steps, and reconstructs the features that the network reads.

    Args:
        mask: Fraction of the time steps that a view hides.
        alpha: Weight of the contrastive loss.
        temperature: Temperature of the contrastive loss, above 0.
        prior: Fraction of other videos that the contrastive loss assumes to be of a video's own class, in [0, 1).
        decoder_width: Width of the decoder, even.
        decoder_layers: Number of its layers.

    Raises:
        AvnasError: An option is out of range.
    """

    network_class = HashNetwork
    default_components: ClassVar[Mapping[str, str]] = {"data.sampling": "avhash_nas.data.Shuffled"}
    reads_labels = False
    decoder: StepDecoder

    def __init__(
        self, mask: float, alpha: float, temperature: float, prior: float, decoder_width: int, decoder_layers: int
    ) -> None:
        super().__init__()
        if not 0 < mask < 1:
            raise AvnasError(f"objective.mask must lie between 0 and 1, got {mask}")
        check_contrast(temperature, prior)
        check_decoder(decoder_width, decoder_layers)
        self.mask = mask
        self.alpha = alpha
        self.temperature = temperature
        self.prior = prior
        self.decoder_width = decoder_width
        self.decoder_layers = decoder_layers

    @abstractmethod
    def decoder_layer(self) -> nn.Module:
        """Creates a layer of the decoder, from (B, T, W) to (B, T, W)."""

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        masked_steps(data.frames, self.mask)
        layers = [self.decoder_layer() for _ in range(self.decoder_layers)]
        features = features_dim(network.modalities, data.visual_dim, data.audio_dim)
        self.decoder = StepDecoder(self.own(network).bits, features, layers, self.decoder_width)

    def two_views(self, network: RoutedNetwork, batch: Batch) -> TwoViews:
        """Draws two views of this rank's videos, codes them in one pass, and reconstructs their masked time steps.

        Raises:
            AvnasError: The network does not compute a code for each time step.
        """
        views = masked_views(len(batch.visual), batch.visual.shape[1], self.mask, batch.visual.device)
        visible, masked = views.visible.flatten(0, 1), views.masked.flatten(0, 1)  # all first views, then all second
        visual = at_positions(batch.visual, views.visible).flatten(0, 1)
        audio = at_positions(batch.audio, views.visible).flatten(0, 1)
        codes, steps = network.codes_and_steps(visual, audio, visible)
        features = features_of(network.network.modalities, batch.visual, batch.audio)
        hidden = at_positions(features, views.masked).flatten(0, 1)
        errors = reconstruction_error(self.decoder(steps, visible, masked), hidden)
        first, second = codes.chunk(2)
        error_1, error_2 = errors.chunk(2)
        return TwoViews((gather_rows(first), gather_rows(second)), gather_rows(error_1 + error_2).mean())

    def contrast(self, views: TwoViews) -> Tensor:
        """Computes the debiased contrastive loss of the codes, a scalar."""
        return debiased_contrastive(*views.codes, self.temperature, self.prior)
