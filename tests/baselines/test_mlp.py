"""The mean-pooled MLP, value by value."""

import pytest
import torch

from avhash_nas.baselines import MeanPoolMLP


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    shapes = (5, 4, 3), (5, 4, 2)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)


def make(**options):
    torch.manual_seed(1)
    return MeanPoolMLP(3, 2, 7, hidden=6, **options).double()


def test_forward_equals_two_layers_over_the_means(features):
    network = make().eval()
    visual, audio = features
    weights = network.state_dict()
    first, second = weights["layers.1.weight"], weights["layers.4.weight"]
    assert first.shape == (6, 5)
    for video in range(5):
        pooled = [sum(visual[video, :, d]) / 4 for d in range(3)] + [sum(audio[video, :, d]) / 4 for d in range(2)]
        hidden = torch.relu(first @ torch.stack(pooled) + weights["layers.1.bias"])
        expected = torch.tanh(second @ hidden + weights["layers.4.bias"])
        torch.testing.assert_close(network(visual, audio)[video], expected)


def test_codes_ignore_time_and_route(features):
    network = make().eval()
    visual, audio = features
    expected = network(visual, audio)
    torch.testing.assert_close(network(visual.flip(1), audio[:, [2, 0, 3, 1]]), expected)
    assert torch.equal(network(visual, audio, {"visual.M1": 3}), expected)
    assert network(visual[:, :1], audio).shape == (5, 7)


def test_state_has_two_layers_and_statistics_with_balance(features):
    layers = {f"layers.{place}.{name}" for place in (1, 4) for name in ("weight", "bias")}
    assert make().state_dict().keys() == layers
    network = make(balance=True)
    added = network.state_dict().keys() - layers
    assert added == {f"layers.5.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    values = torch.atanh(network.train()(*features))
    torch.testing.assert_close(values.mean(0), torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-8)


@pytest.mark.parametrize("option", ["dropout", "input_dropout"])
def test_dropout_acts_in_training_only(features, option):
    network = make(**{"dropout": 0.0, option: 0.5})
    torch.manual_seed(0)
    assert not torch.equal(network.train()(*features), network(*features))
    assert torch.equal(network.eval()(*features), network(*features))
    off = make(dropout=0.0).train()
    assert torch.equal(off(*features), off(*features))


def test_arguments_rebuild_the_same_network():
    network = make(dropout=0.3, input_dropout=0.2, balance=True)
    again = MeanPoolMLP.from_arguments(network.arguments())
    assert repr(again) == repr(network)
    assert again.arguments() == network.arguments()
    assert again.bits == 7


def test_head_has_all_layers():
    network = make()
    assert {id(parameter) for parameter in network.head.parameters()} == {id(p) for p in network.parameters()}
