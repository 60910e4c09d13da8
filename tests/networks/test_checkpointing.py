"""Activation checkpointing changes memory, and nothing else."""

import copy

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.nn.parallel import DistributedDataParallel

from avhash_nas.networks import mixture_route

VIDEOS, FRAMES = 4, 5


@pytest.fixture(scope="module")
def features():
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(VIDEOS, FRAMES, width, generator=generator) for width in (8, 6))


def make_pair(make, **arguments):
    plain = make(dropout=0.2, **arguments)
    checkpointed = copy.deepcopy(plain)
    checkpointed.checkpoint_cells()
    return plain, checkpointed


def routes(network):
    """A mixture of all candidates, one of a part of them, and a single path; weights that want gradients."""
    cells = network.space.cells
    weights = {cell.name: torch.linspace(0.1, 0.9, len(cell.candidates)).requires_grad_() for cell in cells}
    return {"mixture": (mixture_route(weights), [*weights.values()]), "path": ({cell.name: 0 for cell in cells}, [])}


def step(network, features, name, parameters=None):
    """Codes and all gradients of a training step, with the same dropout each time."""
    route, weights = routes(network)[name]
    torch.manual_seed(5)
    inputs = (*features, route)
    codes = network(*inputs) if parameters is None else functional_call(network, parameters, inputs)
    wanted = [*(network.parameters() if parameters is None else parameters.values()), *weights]
    loss = (codes * torch.linspace(-1, 1, codes.numel()).view_as(codes)).sum()
    return [codes.detach(), *torch.autograd.grad(loss, wanted, allow_unused=True)]


def kept(network, features, name):
    """Bytes kept between the passes."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        codes = network(*features, routes(network)[name][0])
    given = [*network.parameters(), *features]
    own = {tensor.untyped_storage().data_ptr() for tensor in given}
    assert codes.requires_grad
    return sum(size for pointer, size in storages.items() if pointer not in own)


@pytest.mark.parametrize("name", ["mixture", "path"])
def test_checkpointing_keeps_codes_and_gradients_even_with_dropout(make, features, name):
    plain, checkpointed = make_pair(make)
    ours, expected = step(checkpointed, features, name), step(plain, features, name)
    assert [each is None for each in ours] == [each is None for each in expected]
    assert all(torch.equal(mine, wanted) for mine, wanted in zip(ours, expected) if wanted is not None)
    others = step(plain.eval(), features, name)
    assert not torch.equal(expected[0], others[0])  # there was dropout


def test_replaced_parameters_get_gradients_under_checkpointing(make, features):
    plain, checkpointed = make_pair(make)
    parameters = {name: (each + 0.1).detach().requires_grad_() for name, each in plain.named_parameters()}
    ours, expected = (step(network, features, "mixture", parameters) for network in (checkpointed, plain))
    assert any(each is not None for each in expected[1:])
    for mine, wanted in zip(ours, expected, strict=True):
        assert (mine is None) == (wanted is None)
        assert wanted is None or torch.equal(mine, wanted)


def test_checkpointing_saves_most_memory_of_a_mixture(make, features):
    plain, checkpointed = make_pair(make)
    assert 4 * kept(checkpointed, features, "mixture") < kept(plain, features, "mixture")
    checkpointed.checkpoint_cells(False)
    assert kept(checkpointed, features, "mixture") == kept(plain, features, "mixture")


def test_names_of_the_weights_stay_the_same(make):
    plain, checkpointed = make_pair(make)
    assert list(plain.state_dict()) == list(checkpointed.state_dict())


def test_no_recomputation_without_gradients(make, features, monkeypatch):
    _, network = make_pair(make)
    monkeypatch.setattr("avhash_nas.networks.graph.run_checkpointed", None)
    with torch.no_grad():
        network(*features, routes(network)["path"][0])


@pytest.mark.parametrize("name", ["mixture", "path"])
def test_data_parallel_training_with_unused_candidates(make, features, name):
    """DDP marks each parameter ready once, whichever pass computes it."""
    plain, checkpointed = make_pair(make)
    expected = step(plain, features, name)[1:]
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        parallel = DistributedDataParallel(checkpointed, find_unused_parameters=True)
        torch.manual_seed(5)
        codes = parallel(*features, routes(checkpointed)[name][0])
        (codes * torch.linspace(-1, 1, codes.numel()).view_as(codes)).sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    for parameter, wanted in zip(checkpointed.parameters(), expected):
        ours = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        assert torch.equal(ours, torch.zeros_like(parameter) if wanted is None else wanted)
