"""A network under another's parameters, as the second-order strategies run it."""

import pytest
import torch

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.errors import AvnasError
from avhash_nas.networks import AudioVisualNetwork, HashLayer, RoutedNetwork
from avhash_nas.space import load_space


@pytest.fixture
def videos():
    torch.manual_seed(0)
    return torch.randn(3, 5, 8), torch.randn(3, 5, 6)


def test_replaced_parameters_get_the_gradient(videos):
    network, other = MeanPoolMLP(8, 6, 16, hidden=4).eval(), MeanPoolMLP(8, 6, 16, hidden=4).eval()
    parameters = {name: each.detach().clone().requires_grad_() for name, each in other.named_parameters()}
    routed = RoutedNetwork(network, parameters=parameters)
    torch.testing.assert_close(routed.codes(*videos), other(*videos))
    found, wanted = routed.codes_and_steps(*videos), other.codes_and_steps(*videos)
    torch.testing.assert_close(found, wanted)
    (found.codes.sum() + found.steps.pow(2).sum()).backward()
    (wanted.codes.sum() + wanted.steps.pow(2).sum()).backward()
    for name, each in other.named_parameters():
        torch.testing.assert_close(parameters[name].grad, each.grad)
    assert all(each.grad is None for each in network.parameters())


def test_routed_network_runs_the_route(videos):
    space = load_space("full")
    network = AudioVisualNetwork(8, 6, 16, space, width=8, heads=2, states=4).eval()
    for draw in range(2):
        route = {cell.name: draw % len(cell.candidates) for cell in space.cells if len(cell.candidates) > 1}
        torch.testing.assert_close(RoutedNetwork(network, route).codes(*videos), network(*videos, route))
        steps = RoutedNetwork(network, route).codes_and_steps(*videos).steps
        torch.testing.assert_close(steps.atanh().mean(1).tanh(), network(*videos, route), rtol=1e-4, atol=1e-5)


def test_binary_step_codes_average_and_pass_gradients(videos):
    network = AudioVisualNetwork(8, 6, 16, load_space("arch-1"), width=8, heads=2, states=4, binary_steps=True)
    codes, steps = network.eval().codes_and_steps(*videos)
    assert steps.shape == (3, 5, 16)
    assert set(steps.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(codes, steps.mean(dim=1))
    torch.testing.assert_close(network(*videos), codes)
    codes.pow(2).sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in network.hash.parameters())


def test_bits_are_balanced_over_videos_or_over_the_bits_of_a_step():
    with pytest.raises(AvnasError, match="balance normalizes the codes of videos, binary_steps codes time steps"):
        HashLayer(8, 16, balance=True, binary_steps=True)
