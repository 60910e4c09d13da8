"""MCMSH against its equations in loops, its published sizes, and a problem that it must solve."""

import numpy as np
import pytest
import torch

from avhash_nas.baselines import MCMSH, MCMSHLoss
from avhash_nas.baselines.mcmsh_gates import Gate
from avhash_nas.data import Shuffled
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork, identity_sign
from baselines.anchored import AUDIO, FRAMES, VISUAL, WIDTH, batch_of, network_of, prepared_pair
from baselines.planted import DIM, bounds, trained_map
from baselines.planted import FRAMES as PLANTED_FRAMES
from reference import baselines_frame_networks as encoders
from reference import objectives_anchored as oracle


def arrays(module):
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


def test_encoder_equals_the_reference():
    network, _ = prepared_pair("mcmsh")
    features = torch.randn(2, FRAMES, VISUAL, dtype=torch.float64)
    network.hidden(features)  # moves the running statistics
    expected = [encoders.gated_mixer(arrays(network.encoder), video.numpy(), WIDTH // 16) for video in features]
    with torch.no_grad():
        torch.testing.assert_close(network.eval().hidden(features), torch.tensor(np.array(expected)))


@pytest.mark.parametrize(("places", "parts"), [(4, 1), (7, 2), (25, 8)])
def test_middle_gate_pools_to_a_third(places, parts):
    gate = Gate(places, 8, reduction=4, reach="middle", groups=2).double().eval()
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.normal_()
        x = torch.randn(1, places, 8, dtype=torch.float64)
        named = {f"g.{name}": value for name, value in arrays(gate).items()}
        expected = encoders.gate(named, "g", x[0].numpy(), "middle", 2)
        torch.testing.assert_close(gate(x.mT)[0].mT, torch.tensor(expected))
    assert places // 3 == parts


def test_alpha_grows_with_the_epoch_and_is_saved(tmp_path):
    network, _ = prepared_pair("mcmsh")
    network.eval()
    visual, audio = (torch.randn(3, FRAMES, dim, dtype=torch.float64) for dim in (VISUAL, AUDIO))
    for epoch in (0, 8):
        network.start_epoch(epoch)
        codes, steps = network.codes_and_steps(visual, audio)
        torch.testing.assert_close(steps, torch.tanh((epoch + 1) ** 0.5 * network.hash(network.hidden(visual))))
        torch.testing.assert_close(codes, steps.mean(1))
        assert torch.equal(codes, network(visual, audio))
    network.save_pretrained(tmp_path)
    assert HashNetwork.from_pretrained(tmp_path).alpha == 3


def test_loss_equals_the_reference():
    weights = {"alignment": 0.7, "similarity": 0.4, "quantization": 0.3, "quadruplets": 0.2}
    network, objective = prepared_pair("mcmsh", **weights)
    network.eval()
    batch = batch_of(objective, 6)
    codes = network(batch.visual, batch.audio).view(6, 5, -1)
    means = network.hidden(batch.visual).mean(1).view(6, 5, -1)
    index = batch.index.view(6, 5)
    similarity = objective.similarity(index[:, 0], index[:, 1]).tolist()
    assert set(similarity) == {-1, 1}
    expected = 0.4 * oracle.pair_similarity(codes[:, 0].tolist(), codes[:, 1].tolist(), similarity)
    expected += 0.2 * oracle.quadruplet(codes[:, [0, 2, 3, 4]].tolist())
    for video in (0, 1):
        anchors = objective.anchors_of(index[:, video]).tolist()
        expected += 0.7 * oracle.anchor_alignment(means[:, video].tolist(), anchors)
        values = codes[:, video].flatten().tolist()
        expected += 0.3 * sum((value - (1 if value >= 0 else -1)) ** 2 for value in values) / len(values)
    assert objective.loss(RoutedNetwork(network), batch).item() == pytest.approx(expected, rel=1e-9)


def test_quantization_has_a_gradient_unlike_the_released_one():
    codes = torch.tensor([0.5, -0.25], requires_grad=True)
    (released,) = torch.autograd.grad((codes - identity_sign(codes)).square().mean(), codes)
    assert released.tolist() == [0, 0]
    gradients = []
    for weight in (0.0, 5.0):
        network, objective = prepared_pair("mcmsh", quantization=weight)
        objective.loss(RoutedNetwork(network), batch_of(objective, 4)).backward()
        gradients.append(network.hash.weight.grad)
    assert not torch.allclose(*gradients)


def test_tuples_have_a_pair_a_similar_and_two_dissimilar_videos():
    _, objective = prepared_pair("mcmsh")
    graph = objective.graph
    positions = np.arange(len(graph))
    tuples = objective.draw(positions, np.random.default_rng(0))
    assert tuples.shape == (len(graph), 4)
    for position, (_, similar, dissimilar, other) in zip(positions, tuples, strict=True):
        assert similar in (*graph.similar(position), position)
        assert {dissimilar, other}.isdisjoint({*graph.similar(position), position})


def test_only_the_pair_is_masked():
    network, objective = prepared_pair("mcmsh", mask_rate=1.0, alignment=0.0, similarity=0.0, quantization=0.0)
    network.eval()
    batch = batch_of(objective, 6)
    places = torch.arange(30) % 5
    of_pair = objective._view(network, batch, places < 2)[0]
    clean = network(batch.visual, batch.audio)
    same = torch.isclose(of_pair, clean).all(1)
    assert same[places >= 2].all()
    assert not same[places < 2].any()


def test_targets_are_principal_components_padded_with_zeros():
    network, objective = prepared_pair("mcmsh")
    anchors = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    targets = objective.targets(anchors, network)
    assert targets.shape == (9, WIDTH)
    assert targets[:, 5:].abs().sum() == 0
    torch.testing.assert_close(torch.cdist(targets, targets), torch.cdist(anchors, anchors), rtol=1e-3, atol=1e-3)
    variances = targets[:, :5].var(0)
    assert variances.sort(descending=True).values.tolist() == variances.tolist()


@pytest.mark.parametrize(("width", "millions"), [(768, 0.91), (1536, 1.11), (2048, 1.24), (4096, 1.76)])
def test_sizes_equal_the_authors_code(width, millions):
    """Nothing is for training alone."""
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in MCMSH(width, 1, 25, 64).parameters())
    assert round(count / 1e6, 2) == millions


def test_the_published_weights_are_the_defaults():
    objective = MCMSHLoss()
    weights = objective.alignment_weight, objective.similarity_weight, objective.quantization_weight
    assert (*weights, objective.quadruplets_weight, objective.mask_rate) == (0.8, 0.1, 0.01, 0.01, 0.15)


@pytest.mark.parametrize("options", [{"frames": 3}, {"width": 24}, {"width": 8}])
def test_too_small_sizes_are_refused(options):
    with pytest.raises(AvnasError, match=r"frames=.* at least 4, and width=.* multiple of 16"):
        MCMSH(VISUAL, AUDIO, **{"frames": FRAMES, "bits": 8, "width": 32, **options})


@pytest.mark.parametrize("modality", ["visual", "both"])
def test_training_without_labels_solves_the_planted_problem(planted, modality):
    options = {"audio_dim": DIM, "frames": PLANTED_FRAMES, "width": 64, "modality": modality}
    network = network_of("mcmsh", visual_dim=DIM, bits=16, **options)
    reached = trained_map(planted, network, MCMSHLoss(anchors=12), Shuffled(30), epochs=6, lr=5e-3)
    chance, projection = bounds(planted, 16)
    assert reached > projection + 0.2 > chance + 0.2
