"""What BTH, DKPH and MCMSH have in common."""

import gc
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avhash_nas.baselines import BTHLoss, MeanPoolMLP
from avhash_nas.baselines.frame_network import mean_hidden
from avhash_nas.data import Batch, Shuffled
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork
from baselines.anchored import AUDIO, FRAMES, METHODS, VIDEOS, VISUAL, batch_of, data_of, network_of, prepared_pair
from distributed import anchored as on_ranks


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


def features(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(4, FRAMES, dim, generator=generator, dtype=dtype) for dim in (VISUAL, AUDIO))


def test_every_parameter_gets_a_gradient(method):
    network, objective = prepared_pair(method)
    objective.loss(RoutedNetwork(network), batch_of(objective, 8)).backward()
    for module in (network, objective):
        for name, parameter in module.named_parameters():
            assert parameter.grad.abs().sum() > 0, name


def test_loss_uses_replaced_parameters(method):
    network, objective = prepared_pair(method)
    network.eval()
    batch = batch_of(objective, 4)
    other = {name: (1.5 * value).detach().requires_grad_() for name, value in network.named_parameters()}
    loss = objective.loss(RoutedNetwork(network, parameters=other), batch)
    loss.backward()
    assert all(value.grad is not None for value in other.values())
    assert all(parameter.grad is None for parameter in network.parameters())
    network.load_state_dict({name: value.detach() for name, value in other.items()}, strict=False)
    torch.testing.assert_close(objective.loss(RoutedNetwork(network), batch), loss)


def test_three_ranks_equal_one_process(three_ranks, method):
    expected = on_ranks.step(0, method)
    for answer in three_ranks.run(on_ranks.step, method):
        torch.testing.assert_close(answer, expected)


@pytest.mark.parametrize("modality", ["visual", "audio", "both"])
def test_saving_and_loading_keep_the_codes(tmp_path, method, modality):
    network = network_of(method, modality=modality)
    network.start_epoch(8)
    network.train()(*features())  # moves running statistics
    network.save_pretrained(tmp_path)
    again = HashNetwork.from_pretrained(tmp_path)
    assert torch.equal(again.encode(*features()), network.encode(*features()))
    assert again.fingerprint() == network.fingerprint()


@pytest.mark.parametrize(("modality", "looked_at"), [("visual", (0,)), ("audio", (1,)), ("both", (0, 1))])
def test_hidden_vectors_depend_on_the_modality(method, modality, looked_at):
    network = network_of(method, modality=modality).eval()
    hidden = network.hidden(network.features(*features()))
    for place in (0, 1):
        changed = [value + (number == place) for number, value in enumerate(features())]
        assert torch.equal(network.hidden(network.features(*changed)), hidden) is (place not in looked_at)


def test_codes_are_bounded_and_pass_gradients(method):
    network = network_of(method)
    codes = network(*features())
    assert codes.shape == (4, 12)
    assert codes.abs().max() <= 1
    codes.sum().backward()
    assert network.encoder.embedding.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("method", ["dkph", "mcmsh"])
@pytest.mark.parametrize("frames", [1, FRAMES + 1])
def test_videos_of_another_length_are_refused(method, frames):
    with pytest.raises(AvnasError, match=f"takes videos of {FRAMES} time steps, got {frames}"):
        network_of(method)(torch.zeros(2, frames, VISUAL), torch.zeros(2, frames, AUDIO))


def test_other_networks_are_refused(method):
    objective = METHODS[method][1](anchors=5)
    for network in (MeanPoolMLP(VISUAL, AUDIO, 8), network_of("mcmsh" if method == "bth" else "bth")):
        for call in (objective.prepare, objective.setup):
            with pytest.raises(AvnasError, match=f"--network={METHODS[method][0].__name__}"):
                call(data_of(), network, 0 if call == objective.prepare else {})


def test_too_many_anchors_are_refused_before_anything_is_trained(method):
    objective = METHODS[method][1](anchors=VIDEOS + 1)
    first = objective.pretraining()
    starts = objective.prepare if first is None else first.setup
    with pytest.raises(AvnasError, match=r"anchors=41, but .* 40 videos.*--objective\.anchors="):
        starts(data_of(), network_of(method), {})
    with pytest.raises(AvnasError, match="anchors=4 must be at least 5"):
        METHODS[method][1](anchors=4)
    with pytest.raises(AvnasError, match="mask_rate"):
        METHODS[method][1](mask_rate=1.5)


def test_batches_have_similar_and_dissimilar_pairs(method):
    _, objective = prepared_pair(method)
    rows = data_of().splits["train"]
    size = objective.partners + 1
    draw = objective.sampling(Shuffled(VIDEOS)).epoch(np.zeros((VIDEOS, 1), bool), seed=0, epoch=0)
    tuples = draw(0).reshape(-1, size)
    assert sorted(tuples[:, 0].tolist()) == list(range(VIDEOS))
    graph = objective.graph
    signs = objective.similarity(torch.from_numpy(rows[tuples[:, 0]]), torch.from_numpy(rows[tuples[:, 1]]))
    for (first, second, *_), sign in zip(tuples.tolist(), signs.tolist(), strict=True):
        assert (sign > 0) == (second in (*graph.similar(first), first))
        assert sign > 0 or second not in graph.similar(first)
    assert 0.2 < (signs > 0).float().mean() < 0.8


def test_mean_hidden_vectors_use_evaluation_mode(planted):
    network = network_of("bth", visual_dim=planted.visual_dim).train()
    rows = planted.splits["train"][::-1].copy()
    means = mean_hidden(planted, rows, network)
    assert network.training
    batch = planted.batch(rows[:3])
    expected = network.eval().hidden(batch.visual).mean(1)
    torch.testing.assert_close(torch.from_numpy(means[:3]), expected, rtol=1e-4, atol=1e-5)


def test_memory_at_the_size_of_fcvid():
    """The matrix of all pairs alone would be 8.3 GB."""
    videos, anchors = 45_585, 2000
    random = np.random.default_rng(0)
    latents = random.standard_normal((videos, 16)).astype(np.float32)
    prepared = {"latents": torch.from_numpy(latents), "anchors": torch.from_numpy(latents[:anchors].copy())}
    data = SimpleNamespace(ids=range(videos), splits={"train": np.arange(videos)})
    objective = BTHLoss()
    tracemalloc.start()
    objective.setup(data, network_of("bth", width=16), prepared)
    objective.draw(np.arange(256), random)
    gc.collect()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 64 * 2**20
    assert peak < 256 * 2**20
    batch = Batch(
        *(torch.zeros(2, 3, dim) for dim in (VISUAL, AUDIO)), torch.zeros(2, 1), torch.tensor([7, videos - 1])
    )
    assert objective.anchors_of(batch.index).shape == (2, 16)
