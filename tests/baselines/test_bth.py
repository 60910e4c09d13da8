"""BTH against its equations in loops, its published sizes, and a problem that it must solve."""

import copy

import numpy as np
import pytest
import torch

from avhash_nas.baselines import BTH, BTHLoss
from avhash_nas.data import Shuffled
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork
from avhash_nas.objectives.frame_masking import masked
from baselines.anchored import AUDIO, FRAMES, VISUAL, batch_of, network_of, prepared_pair
from baselines.planted import DIM, bounds, trained_map
from reference import baselines_frame_networks as encoders
from reference import objectives_anchored as oracle


def arrays(module):
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("method", ["bth", "dkph"])
def test_encoder_equals_the_reference_in_training_and_evaluation(method):
    network, _ = prepared_pair(method)
    features = torch.randn(2, FRAMES, VISUAL, dtype=torch.float64)
    expected = np.stack([encoders.transformer(arrays(network.encoder), video.numpy()) for video in features])
    for mode in (True, False):
        with torch.no_grad():  # where torch's own encoder layer may take a shorter way
            hidden = network.train(mode).hidden(features)
        torch.testing.assert_close(hidden, torch.tensor(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", ["bth", "dkph"])
def test_an_odd_width_is_refused(method):
    with pytest.raises(AvnasError, match="width=7 must be even"):
        network_of(method, width=7)


def test_frames_are_coded_alone_and_averaged():
    network, _ = prepared_pair("bth")
    visual, audio = (torch.randn(3, FRAMES, dim, dtype=torch.float64) for dim in (VISUAL, AUDIO))
    codes, steps = network.codes_and_steps(visual, audio)
    expected = torch.where(network.hash(network.hidden(visual)) >= 0, 1.0, -1.0).double()
    assert torch.equal(steps, expected)
    assert torch.equal(codes, steps.mean(1))
    assert torch.equal(codes, network(visual, audio))


def test_positions_place_the_time_steps_of_a_view():
    network, _ = prepared_pair("bth")
    visual, audio = (torch.randn(3, 2, dim, dtype=torch.float64) for dim in (VISUAL, AUDIO))
    first, last = (torch.tensor(steps).expand(3, 2) for steps in ([0, 1], [4, 5]))
    hidden = [network.encoder(visual, positions) for positions in (None, first, last)]
    assert torch.equal(hidden[0], hidden[1])
    assert not torch.allclose(hidden[0], hidden[2])
    assert network.codes_and_steps(visual, audio, positions=last).steps.shape == (3, 2, network.bits)


def test_loss_equals_the_reference():
    network, objective = prepared_pair("bth", reconstruction=0.7, similarity=0.3, alignment=0.2)
    batch = batch_of(objective, 6)
    hidden = network.hidden(batch.visual)
    steps = torch.where(network.hash(hidden) >= 0, 1.0, -1.0).double()
    errors = (objective.reconstruction.decoder(steps) - batch.visual).square().flatten().tolist()
    codes, means = steps.mean(1).tolist(), hidden.mean(1).tolist()
    anchors = objective.anchors_of(batch.index).tolist()
    similarity = objective.similarity(batch.index[::2], batch.index[1::2]).tolist()
    assert set(similarity) == {-1, 1}
    expected = (
        0.7 * sum(errors) / len(errors)
        + 0.3 * oracle.pair_similarity(codes[::2], codes[1::2], similarity)
        + 0.2 * oracle.anchor_alignment(means[::2], anchors[::2])
        + 0.2 * oracle.anchor_alignment(means[1::2], anchors[1::2])
    )
    assert objective.loss(RoutedNetwork(network), batch).item() == pytest.approx(expected, rel=1e-9)


def test_the_published_weights_are_the_defaults():
    objective = BTHLoss()
    weights = objective.reconstruction_weight, objective.similarity_weight, objective.alignment_weight
    assert (*weights, objective.anchors, objective.reconstruction.rate) == (0.92, 0.08, 0.8, 2000, 0.15)


@pytest.mark.parametrize("legacy", [False, True])
def test_reconstruction_targets_clean_or_legacy_masked_frames(legacy):
    network, objective = prepared_pair("bth", mask_rate=0.6, legacy_inplace_mask=legacy)
    batch = batch_of(objective, 6)
    before = batch.visual.clone()
    first = objective.pretraining()
    torch.manual_seed(3)
    loss = first.loss(RoutedNetwork(network), batch)
    torch.manual_seed(3)
    spoilt = masked(batch.visual, 0.6)
    guessed = first.decoder(network.step_codes(network.hidden(spoilt)))
    torch.testing.assert_close(loss, (guessed - (spoilt if legacy else before)).square().mean())
    assert torch.equal(batch.visual, before)


@pytest.mark.parametrize(("width", "used", "table_2"), [(768, 1.05, 1.25), (2048, 1.46, 1.99)])
def test_sizes_equal_the_authors_code(width, used, table_2):
    """Encoder and decoder are what the code uses; Table 2's figure, at F = 2048, counts two unused tables as well."""
    with torch.device("meta"):
        network = BTH(width, 1, 64)
        first = BTHLoss().pretraining()
        first.make_decoder(network)
    encoder, decoder = (sum(parameter.numel() for parameter in part.parameters()) for part in (network, first))
    tables = 256 * width + 256 * 3
    block, layer_in, layer_out = 12 * 256**2 + 13 * 256, 256 * width + 256, 64 * 256 + 64
    assert encoder == layer_in + block + layer_out
    assert decoder == width * 64 + width
    assert round((encoder + decoder) / 1e6, 2) == used
    assert round((encoder + decoder + tables) / 1e6, 2) == table_2


@pytest.mark.parametrize("modality", ["visual", "both"])
def test_training_without_labels_solves_the_planted_problem(planted, modality):
    network = network_of("bth", visual_dim=DIM, bits=16, audio_dim=DIM, width=64, modality=modality)
    objective = BTHLoss(anchors=12)
    first = copy.deepcopy(network)
    guessing = trained_map(planted, first, objective.pretraining(), Shuffled(32), epochs=6, lr=3e-3)
    reached = trained_map(planted, network, objective, prepared_from=first, epochs=6, lr=3e-3)
    chance, projection = bounds(planted, 16)
    assert reached > projection + 0.2 > chance + 0.2
    assert reached > guessing
