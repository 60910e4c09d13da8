"""ConMH's objective: each of two masked views reconstructs what it hides, and has the other's code."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from avhash_nas.data import Batch, HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork
from avhash_nas.networks.modalities import features_dim
from avhash_nas.networks.vit_block import ViTBlock
from avhash_nas.objectives.base import Objective
from avhash_nas.objectives.debiased_contrastive import check_contrast, debiased_contrastive
from avhash_nas.objectives.masked_views import masked_steps, masked_views
from avhash_nas.objectives.reconstruction import StepDecoder, check_decoder
from avhash_nas.objectives.two_views import look_at


class MaskedContrastive(Objective):
    """Masked reconstruction of both views plus alpha times the debiased contrastive loss of their codes.

    The objective of ConMH (Wang et al., AAAI 2023), for any network that has a code for each time step; labels are
    never read. It owns the decoder, Transformer blocks over the codes of the visible time steps, and reconstructs the
    features that the network looks at. The defaults are the published settings for ActivityNet; those for FCVID are
    mask 0.75, alpha 1, prior 0.1.

    Args:
        mask: Part of the time steps that a view hides.
        alpha: Weight of the contrastive loss.
        temperature: Of the contrastive loss, above 0.
        prior: Share of other videos that the contrastive loss takes to be of a video's own class, in [0, 1).
        decoder_width: Width of the decoder, even.
        decoder_layers: Its layers.
        decoder_heads: Its heads.

    Raises:
        AvnasError: An option is out of range.
    """

    default_components: ClassVar[Mapping[str, str]] = {"data.sampling": "avhash_nas.data.Shuffled"}
    decoder: StepDecoder

    def __init__(
        self,
        mask: float = 0.5,
        alpha: float = 0.2,
        temperature: float = 0.5,
        prior: float = 0.05,
        decoder_width: int = 192,
        decoder_layers: int = 2,
        decoder_heads: int = 3,
    ) -> None:
        super().__init__()
        if not 0 < mask < 1:
            raise AvnasError(f"objective.mask must lie between 0 and 1, got {mask}")
        check_contrast(temperature, prior)
        check_decoder(decoder_width, decoder_layers, decoder_heads)
        self.mask = mask
        self.alpha = alpha
        self.temperature = temperature
        self.prior = prior
        self.decoder_width = decoder_width
        self.decoder_layers = decoder_layers
        self.decoder_heads = decoder_heads

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:  # noqa: ARG002
        """Make the decoder.

        Raises:
            AvnasError: The videos are too short for the mask.
        """
        masked_steps(data.frames, self.mask)
        layers = [ViTBlock(self.decoder_width, self.decoder_heads) for _ in range(self.decoder_layers)]
        features = features_dim(network.modalities, data.visual_dim, data.audio_dim)
        self.decoder = StepDecoder(network.bits, features, layers, self.decoder_width)

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """Reconstruction error plus alpha times the contrastive loss, over the videos of all ranks."""
        views = masked_views(len(batch.visual), batch.visual.shape[1], self.mask, batch.visual.device)
        seen = look_at(network, self.decoder, batch, views)
        return seen.reconstruction + self.alpha * debiased_contrastive(*seen.codes, self.temperature, self.prior)
