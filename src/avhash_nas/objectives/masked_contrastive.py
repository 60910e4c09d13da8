"""ConMH's objective: each of two masked views reconstructs its masked time steps and predicts the other's code."""

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.data import Batch
from avhash_nas.networks import RoutedNetwork
from avhash_nas.networks.vit_block import ViTBlock
from avhash_nas.objectives.masked_views import TwoViewObjective
from avhash_nas.objectives.reconstruction import check_decoder


class MaskedContrastive(TwoViewObjective):
    """Masked reconstruction of both views plus alpha times the debiased contrastive loss of their codes.

    The objective of ConMH (Wang et al., AAAI 2023), a `TwoViewObjective` with Transformer blocks as the decoder. The
    defaults are the published settings for ActivityNet; those for FCVID are mask 0.75, alpha 1, prior 0.1.

    Args:
        mask: Fraction of the time steps that a view hides.
        alpha: Weight of the contrastive loss.
        temperature: Temperature of the contrastive loss, above 0.
        prior: Fraction of other videos that the contrastive loss assumes to be of a video's own class, in [0, 1).
        decoder_width: Width of the decoder, even.
        decoder_layers: Number of its layers.
        decoder_heads: Number of its heads.

    Raises:
        AvnasError: An option is out of range.
    """

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
        super().__init__(mask, alpha, temperature, prior, decoder_width, decoder_layers)
        check_decoder(decoder_width, decoder_layers, decoder_heads)
        self.decoder_heads = decoder_heads

    @override
    def decoder_layer(self) -> nn.Module:
        return ViTBlock(self.decoder_width, self.decoder_heads)

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        views = self.two_views(network, batch)
        return views.reconstruction + self.alpha * self.contrast(views)
