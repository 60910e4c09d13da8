"""The two small networks that show what order is worth: one blind to it, one not."""

import pytest
import torch

from avhash_nas.baselines import Convolutions, FramewiseMLP


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    shapes = (5, 6, 3), (5, 6, 2)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)


def make(kind, **options):
    torch.manual_seed(1)
    return kind(3, 2, 7, hidden=4, **options).double()


def test_a_framewise_mlp_equals_loops_over_the_steps(features):
    network = make(FramewiseMLP).eval()
    visual, audio = features
    weights = network.state_dict()
    for video in range(5):
        steps = [
            torch.relu(
                weights["steps.0.weight"] @ torch.cat([visual[video, t], audio[video, t]]) + weights["steps.0.bias"]
            )
            for t in range(6)
        ]
        largest = [max(float(step[d]) for step in steps) for d in range(4)]
        pooled = torch.cat([sum(steps) / 6, torch.tensor(largest, dtype=torch.float64)])
        hidden = torch.relu(weights["layers.0.weight"] @ pooled + weights["layers.0.bias"])
        expected = torch.tanh(weights["layers.3.weight"] @ hidden + weights["layers.3.bias"])
        torch.testing.assert_close(network(visual, audio)[video], expected)


def test_convolutions_equal_loops_over_the_steps(features):
    network = make(Convolutions, layers=2, kernel=3).eval()
    visual, audio = features
    weights = network.state_dict()
    channels = torch.cat([visual, audio], 2)
    for place in (0, 3):
        weight, bias = weights[f"body.{place}.weight"], weights[f"body.{place}.bias"]
        padded = torch.nn.functional.pad(channels, (0, 0, 1, 1))
        channels = torch.stack(
            [torch.relu(bias + sum(padded[:, t + k] @ weight[:, :, k].T for k in range(3))) for t in range(6)], 1
        )
    pooled = torch.cat([channels.mean(1), channels.max(1).values], 1)
    expected = torch.tanh(pooled @ weights["last.0.weight"].T + weights["last.0.bias"])
    torch.testing.assert_close(network(visual, audio), expected)


def test_only_one_of_them_sees_order(features):
    visual, audio = features
    order = [3, 0, 5, 1, 4, 2]
    blind, sighted = make(FramewiseMLP).eval(), make(Convolutions).eval()
    torch.testing.assert_close(blind(visual[:, order], audio[:, order]), blind(visual, audio))
    assert not torch.allclose(sighted(visual[:, order], audio[:, order]), sighted(visual, audio))


@pytest.mark.parametrize("kind", [FramewiseMLP, Convolutions])
def test_arguments_rebuild_the_same_network(kind):
    network = make(kind, dropout=0.3, balance=True)
    again = kind.from_arguments(network.arguments())
    assert repr(again) == repr(network)
    assert again.arguments() == network.arguments()
    assert again.bits == 7


@pytest.mark.parametrize("kind", [FramewiseMLP, Convolutions])
def test_balance_centers_every_bit(kind, features):
    values = torch.atanh(make(kind, balance=True).train()(*features))
    torch.testing.assert_close(values.mean(0), torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-8)
