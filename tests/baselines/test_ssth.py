"""SSTH against its equations in loops, its published sizes, and a problem that it must solve."""

import pytest
import torch

from avhash_nas.baselines import SSTH, MeanPoolMLP, SSTHLoss
from avhash_nas.data import Batch, Shuffled
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork
from baselines.planted import DIM, FRAMES, bounds, trained_map
from distributed import baselines as on_ranks
from reference import baselines_ssth as oracle

B, T, F, K = 5, 4, 3, 6


def make(**options):
    """A network and its objective, in double precision, with no parameter at a special value."""
    torch.manual_seed(0)
    network, objective = SSTH(F, 2, T, K), SSTHLoss(**options)
    objective.setup(None, network, {})
    with torch.no_grad():
        for parameter in (*network.parameters(), *objective.parameters()):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.double(), objective.double()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    visual, audio = (torch.randn(B, T, dim, generator=generator, dtype=torch.float64) for dim in (F, 2))
    return Batch(visual, audio, torch.zeros(B, 1, dtype=torch.bool), torch.arange(B))


def plain(module):
    return {name: tensor.tolist() for name, tensor in module.state_dict().items()}


def test_encoder_equals_the_reference(batch):
    network, _ = make()
    steps, h, c = oracle.encode(plain(network), batch.visual.tolist())
    state = network.last_state(batch.visual)
    torch.testing.assert_close(state.h, torch.tensor(h, dtype=torch.float64))
    torch.testing.assert_close(state.c, torch.tensor(c, dtype=torch.float64))
    torch.testing.assert_close(state.binary.transpose(0, 1), torch.tensor(steps, dtype=torch.float64))


@pytest.mark.parametrize("mean_weight", [200.0, 0.0])
def test_loss_equals_the_reference(batch, mean_weight):
    network, objective = make(mean_weight=mean_weight)
    decoders = {name: plain(decoder) for name, decoder in objective.decoders.items()}
    expected = oracle.loss(plain(network), decoders, batch.visual.tolist(), mean_weight)
    assert objective.loss(RoutedNetwork(network), batch).item() == pytest.approx(expected, rel=1e-9)


def test_every_parameter_gets_a_gradient(batch):
    network, objective = make()
    objective.loss(RoutedNetwork(network), batch).backward()
    for module in (network, objective):
        for name, parameter in module.named_parameters():
            assert parameter.grad.abs().sum() > 0, name


def test_loss_uses_replaced_parameters(batch):
    network, objective = make()
    other = {name: (2 * value).detach().requires_grad_() for name, value in network.named_parameters()}
    loss = objective.loss(RoutedNetwork(network, parameters=other), batch)
    loss.backward()
    assert all(value.grad is not None for value in other.values())
    assert all(parameter.grad is None for parameter in network.parameters())
    network.load_state_dict({name: value.detach() for name, value in other.items()}, strict=False)
    torch.testing.assert_close(objective.loss(RoutedNetwork(network), batch), loss)


def test_steps_are_binary_and_the_last_is_the_code(batch):
    network, _ = make()
    codes, steps = network.eval().codes_and_steps(batch.visual, batch.audio)
    assert steps.unique().tolist() == [-1, 1]
    assert torch.equal(steps[:, -1] > 0, codes >= 0)
    assert torch.equal(codes, network(batch.visual, batch.audio))
    assert codes.abs().max() <= 1


def test_recurrence_reads_signs(batch):
    """The recurrence is handed signs, so that what happens within a sign does not matter and a change of sign does."""
    network, _ = make()
    network.eval()
    state = network.last_state(batch.visual)
    inputs = network.input(batch.visual)
    o, c = network.cell(inputs[:, 0], state.h * 0, state.h * 0, 0)
    h = o * c
    for handed, same in ((h.sign(), True), (h, False)):
        second, _ = network.cell(inputs[:, 1], handed, c, 1)
        expected, _ = network.cell(inputs[:, 1], state.binary[:, 0], c, 1)
        assert torch.equal(second, expected) is same


@pytest.mark.parametrize(
    ("width", "bits", "millions"),
    [(768, 64, 0.42), (1536, 64, 0.77), (2048, 64, 1.00), (4096, 64, 1.92), (2048, 256, 4.77)],
)
def test_sizes_with_decoders_equal_the_authors_code(width, bits, millions):
    with torch.device("meta"):
        network, objective = SSTH(width, 1, 25, bits), SSTHLoss()
        objective.setup(None, network, {})
    count = sum(parameter.numel() for module in (network, objective) for parameter in module.parameters())
    assert round(count / 1e6, 2) == millions


def test_initial_weights_equal_the_authors_code():
    network, _ = SSTH(F, 2, T, K), torch.manual_seed(0)
    for matrix in network.cell.recurrent.chunk(4):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(K))
    assert network.input.bias.tolist() == [0] * K + [1] * K + [0] * 2 * K


@pytest.mark.parametrize("frames", [3, 5])
def test_videos_of_another_length_are_refused(frames):
    network, _ = make()
    with pytest.raises(AvnasError, match=f"made for 4 time steps and got {frames}"):
        network(torch.zeros(2, frames, F).double(), torch.zeros(2, frames, 2).double())


def test_another_network_and_a_negative_weight_are_refused():
    with pytest.raises(AvnasError, match="trains SSTH networks only, not MeanPoolMLP"):
        SSTHLoss().setup(None, MeanPoolMLP(3, 2, 8), {})
    with pytest.raises(AvnasError, match="mean_weight must not be negative"):
        SSTHLoss(-1)


def test_three_ranks_equal_one_process(three_ranks):
    expected = on_ranks.step(0, "ssth")
    for answer in three_ranks.run(on_ranks.step, "ssth"):
        torch.testing.assert_close(answer, expected)


def test_saving_and_loading_keep_the_codes(batch, tmp_path):
    network, _ = make()
    network(batch.visual, batch.audio)  # moves the running statistics
    network.float().save_pretrained(tmp_path)
    again = HashNetwork.from_pretrained(tmp_path)
    features = batch.visual.float(), batch.audio.float()
    assert torch.equal(again.encode(*features), network.encode(*features))
    assert again.fingerprint() == network.fingerprint()


@pytest.mark.parametrize("modality", ["visual", "both"])
def test_training_without_labels_solves_the_planted_problem(planted, modality):
    torch.manual_seed(0)
    network = SSTH(DIM, DIM, FRAMES, 16, modality=modality, momentum=0.1)
    reached = trained_map(planted, network, SSTHLoss(), Shuffled(64), epochs=12, lr=1e-2)
    chance, projection = bounds(planted, 16)
    assert reached > projection + 0.2 > chance + 0.2
