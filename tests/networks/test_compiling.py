"""A compiled network is the same network: its values, gradients, names and copies."""

import copy
import pickle

import pytest
import torch
from torch._dynamo.utils import counters

from avhash_nas.networks import compile_network, mixture_route
from avhash_nas.space import load_space

VIDEOS, FRAMES = 3, 4


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(VIDEOS, FRAMES, width, generator=generator) for width in (8, 6))


def mixture(space):
    return mixture_route({cell.name: torch.linspace(0.2, 0.8, len(cell.candidates)) for cell in space.cells})


def path(space, shift):
    return {cell.name: (place + shift) % len(cell.candidates) for place, cell in enumerate(space.cells)}


def codes_and_gradients(network, inputs, route):
    codes = network(*inputs, route)
    loss = (codes * torch.linspace(-1, 1, codes.numel()).view_as(codes)).sum()
    return codes, torch.autograd.grad(loss, [*network.parameters()], allow_unused=True)


def check(plain, compiled, inputs, route):
    ours, expected = (codes_and_gradients(network, inputs, route) for network in (compiled, plain))
    torch.testing.assert_close(ours[0], expected[0], rtol=1e-4, atol=1e-5)
    for mine, wanted in zip(ours[1], expected[1], strict=True):
        assert (mine is None) == (wanted is None)
        if wanted is not None:
            torch.testing.assert_close(mine, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_operators_compile_without_graph_breaks_and_compute_the_same(make, inputs):
    plain = make(dropout=0.0)
    compiled = copy.deepcopy(plain)
    assert compile_network(compiled, backend="aot_eager") > 40
    space = plain.space
    check(plain, compiled, inputs, mixture(space))
    assert not counters["graph_break"]
    graphs = counters["stats"]["unique_graphs"]
    check(plain, compiled, inputs, path(space, 0))
    check(plain, compiled, inputs, path(space, 1))
    assert counters["stats"]["unique_graphs"] - graphs <= 3  # convolutions, which a mixture merges
    assert not counters["graph_break"]


def test_compiling_keeps_names_copies_and_pickles(make, inputs):
    network = make(dropout=0.0)
    route, names = path(network.space, 0), list(network.state_dict())
    compile_network(network, backend="eager")
    assert list(network.state_dict()) == names
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        torch.testing.assert_close(other(*inputs, route), network(*inputs, route))


@pytest.mark.slow
def test_inductor_with_checkpointing_of_a_plain_network(make, inputs):
    space = load_space("full")
    indices = dict.fromkeys((cell.name for cell in space.cells), 0)
    indices |= {"visual.M1": 1, "visual.M2": 2, "audio.M1": 6, "I1": 1, "T": 1}
    plain = make(space.fix(space.architecture(indices)), dropout=0.0)
    compiled = copy.deepcopy(plain)
    compile_network(compiled)
    check(plain, compiled, inputs, None)
    assert not counters["graph_break"]
    compiled.checkpoint_cells()
    check(plain, compiled, inputs, None)
