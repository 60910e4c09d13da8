"""What a network and a decoder make of two masked views of each video."""

from typing import NamedTuple

from torch import Tensor

from avhash_nas.data import Batch
from avhash_nas.distributed import gather_rows
from avhash_nas.networks import RoutedNetwork
from avhash_nas.networks.modalities import features_of
from avhash_nas.objectives.masked_views import MaskedViews, at_positions
from avhash_nas.objectives.reconstruction import StepDecoder, reconstruction_error


class TwoViews(NamedTuple):
    """The views of all ranks' videos.

    Attributes:
        codes: Relaxed codes of the first and of the second views, shape (B, q) each.
        reconstruction: Masked reconstruction error, first views plus second views, mean over the videos, a scalar.
    """

    codes: tuple[Tensor, Tensor]
    reconstruction: Tensor


def look_at(network: RoutedNetwork, decoder: StepDecoder, batch: Batch, views: MaskedViews) -> TwoViews:
    """Codes both views in one pass and reconstructs what each hides.

    Args:
        network: What is trained.
        decoder: From the codes of time steps to features.
        batch: This rank's share.
        views: Of its videos.

    Raises:
        AvnasError: The network did not give a code for each time step.
    """
    visible, masked = views.visible.flatten(0, 1), views.masked.flatten(0, 1)  # first all first views
    visual = at_positions(batch.visual, views.visible).flatten(0, 1)
    audio = at_positions(batch.audio, views.visible).flatten(0, 1)
    codes, steps = network.codes_and_steps(visual, audio, visible)
    features = features_of(network.network.modalities, batch.visual, batch.audio)
    hidden = at_positions(features, views.masked).flatten(0, 1)
    errors = reconstruction_error(decoder(steps, visible, masked), hidden)
    first, second = codes.chunk(2)
    error_1, error_2 = errors.chunk(2)
    return TwoViews((gather_rows(first), gather_rows(second)), gather_rows(error_1 + error_2).mean())
