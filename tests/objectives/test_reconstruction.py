import pytest
import torch

from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.networks import features_of, side_by_side
from avhash_nas.networks.bidirectional_mamba import BidirectionalMamba
from avhash_nas.networks.vit_block import ViTBlock
from avhash_nas.objectives.reconstruction import StepDecoder, reconstruction_error
from reference import objectives_masked_views as oracle


def decoder(layer):
    torch.manual_seed(0)
    return StepDecoder(bits=6, features=5, layers=[layer], width=8).double()


LAYERS = [lambda: ViTBlock(8, 2), lambda: BidirectionalMamba(8)]


@pytest.fixture
def given():
    torch.manual_seed(1)
    steps = torch.where(torch.randn(2, 3, 6) > 0, 1.0, -1.0).double()
    return steps, torch.tensor([[0, 2, 5], [1, 2, 3]]), torch.tensor([[1, 3, 4], [0, 4, 5]])


@pytest.mark.parametrize("layer", LAYERS)
def test_prediction_depends_on_positions(layer, given):
    steps, visible, masked = given
    decode = decoder(layer())
    predicted = decode(steps, visible, masked)
    assert predicted.shape == (2, 3, 5)
    assert not torch.allclose(predicted[:, 0], predicted[:, 1])  # the same token at two positions
    assert not torch.allclose(decode(steps, visible + 1, masked), predicted)
    assert not torch.allclose(decode(steps, visible, masked + 1), predicted)
    assert not torch.allclose(decode(-steps, visible, masked), predicted)


def test_attention_decoder_ignores_the_order_of_steps(given):
    steps, visible, masked = given
    decode = decoder(ViTBlock(8, 2))
    expected = decode(steps, visible, masked)
    torch.testing.assert_close(decode(steps.flip(1), visible.flip(1), masked), expected)
    torch.testing.assert_close(decode(steps, visible, masked.flip(1)), expected.flip(1))


def test_error_covers_only_masked_time_steps():
    torch.manual_seed(2)
    features, predicted = torch.randn(2, 6, 5).double(), torch.randn(2, 3, 5).double()
    masked = torch.tensor([[1, 3, 4], [0, 4, 5]])
    hidden = features[torch.arange(2)[:, None], masked]
    expected = [oracle.masked_error(*video) for video in zip(predicted.tolist(), features.tolist(), masked.tolist())]
    assert reconstruction_error(predicted, hidden).tolist() == pytest.approx(expected)


def test_network_without_step_codes_is_refused(given):
    steps, visible, masked = given
    with pytest.raises(AvnasError, match="saw 3 time steps and gave 2 codes"):
        decoder(ViTBlock(8, 2))(steps[:, :2], visible, masked)


@pytest.mark.parametrize(
    ("modalities", "width"), [(("visual",), 3), (("audio",), 2), (("visual", "audio"), 5)], ids=["v", "a", "both"]
)
def test_reconstruction_covers_the_networks_input(modalities, width):
    batch = Batch(torch.randn(2, 4, 3), torch.randn(2, 4, 2), torch.zeros(2, 1), torch.arange(2))
    seen = features_of(modalities, batch.visual, batch.audio)
    assert seen.shape == (2, 4, width)
    parts = {"visual": batch.visual, "audio": batch.audio}
    whole = side_by_side(**parts) if len(modalities) == 2 else parts[modalities[0]]
    assert torch.equal(seen, whole)
