"""Many routes at once against the network on one route after the other."""

import weakref
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Mixture
from avhash_nas.networks.shared_routes import SharedRoutes
from avhash_nas.operators import Operator
from avhash_nas.space import Cell, SearchSpace, load_space
from networks.conftest import make_network

PLENTY = 2**40


def routes_of(space, count, seed=0):
    """Random routes in sorted order, some of them twice."""
    generator = np.random.default_rng(seed)
    drawn = [space.indices(space.sample(generator)) for _ in range(count)]
    return sorted(drawn + drawn[::5], key=lambda route: tuple(route.values()))


def features(videos=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(videos, 5, width, generator=generator, dtype=dtype) for width in (8, 6))


@torch.no_grad()
def assert_as_alone(network, inputs, routes, memory):
    done = []
    for number, code in SharedRoutes(network, routes, memory)(*inputs):
        assert torch.equal(code, network(*inputs, routes[number]))
        done.append(number)
    assert sorted(done) == list(range(len(routes)))


@st.composite
def spaces(draw):
    """Some of the candidates of every cell, in any order; encoders of any width, or without Up and Down."""
    full = load_space(draw(st.sampled_from(["full", "visual", "audio"])))
    cells = []
    for cell in full.cells:
        most = draw(st.sampled_from([1, 1, 2, 8]))  # several cells without a choice
        some = draw(st.lists(st.sampled_from(cell.candidates), min_size=1, max_size=most, unique=True))
        cells.append(Cell(cell.name, tuple(some)))
    return SearchSpace(tuple(cells), draw(st.sampled_from([None, 1, 2])))


@settings(max_examples=15)
@given(spaces(), st.sampled_from([0, 3000, 20_000, PLENTY]), st.integers(0, 3))
def test_shared_routes_equal_separate_runs(space, memory, seed):
    assert_as_alone(make_network(space).eval(), features(), routes_of(space, 8, seed), memory)


@pytest.mark.parametrize("preset", ["full", "authors", "visual", "audio", "arch-1", "transformer"])
@pytest.mark.parametrize("memory", [0, 10_000, PLENTY])
def test_shared_routes_of_presets(preset, memory):
    network = make_network(preset, balance=True, head_hidden=5, head_norm=True).eval()
    assert_as_alone(network, features(), routes_of(network.space, 20), memory)


def test_shared_routes_in_any_order(supernet):
    routes = routes_of(supernet.space, 20)
    shuffled = [routes[place] for place in np.random.default_rng(1).permutation(len(routes))]
    assert_as_alone(supernet, features(dtype=torch.float64), shuffled, 5000)


@torch.no_grad()
def run_counts(network, run):
    """How often each operator and map runs."""
    counts, handles = Counter(), []
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.LayerNorm | nn.Conv1d | Operator):
            handles.append(module.register_forward_hook(lambda *_, name=name: counts.update([name])))
    run()
    for handle in handles:
        handle.remove()
    return counts


def shared_counts(network, routes, memory):
    return run_counts(network, lambda: [None for _ in SharedRoutes(network, routes, memory)(*features())])


def distinct(routes, *cells):
    """Distinct choices in some cells."""
    return len({tuple(route[cell] for cell in cells) for route in routes})


def test_shared_computations_run_once():
    network = make_network("full").eval()
    space = network.space
    routes = routes_of(space, 60)
    counts = shared_counts(network, routes, PLENTY)
    for modality in ("visual", "audio"):
        assert counts[f"{modality}.up"] == counts[f"{modality}.up_gate"] == 1
        left = [f"{modality}.{leaf}" for leaf in ("M1", "U1", "M2")]
        e1 = [*left, f"{modality}.U2", f"{modality}.D1"]
        assert counts[f"{modality}.down"] == distinct(routes, *e1)
        for position, candidate in enumerate(space[left[2]].candidates[1:], start=1):
            chosen = [route for route in routes if route[left[2]] == position]
            assert counts[f"{left[2]}.operators.{candidate}"] == distinct(chosen, *left)
    encoders = {m: [cell.name for cell in space.cells if cell.modality == m] for m in ("visual", "audio")}
    for cell, one, other in (("I1", "visual", "audio"), ("I2", "audio", "visual")):
        attending = [route for route in routes if route[cell] == 0]
        assert counts[f"{cell}.operators.cross_attention.query_proj"] == distinct(attending, *encoders[one])
        assert counts[f"{cell}.operators.cross_attention.key_value_proj"] == distinct(attending, *encoders[other])
        joined = distinct(attending, *encoders["visual"], *encoders["audio"])
        assert counts[f"{cell}.operators.cross_attention.out_proj"] == joined
    assert counts["hash.fc"] == distinct(routes, *[cell.name for cell in space.cells])


def test_without_memory_no_more_runs_than_separately():
    network = make_network("full").eval()
    routes = routes_of(network.space, 30)
    plenty, some, none = (shared_counts(network, routes, memory).total() for memory in (PLENTY, 5_000, 0))
    alone = run_counts(network, lambda: [network(*features(), route) for route in routes]).total()
    assert plenty < some < none < alone


@torch.no_grad()
@pytest.mark.parametrize("memory", [0, 5_000, 50_000, PLENTY])
def test_kept_values_stay_within_the_memory(memory):
    network = make_network("visual").eval()
    inputs = features()
    made, most = [], 0

    def bytes_alive(but):
        """Of what modules have put out, views and what others hold included, each storage once."""
        alive = [tensor for tensor in (reference() for reference in made) if tensor is not None]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in alive}
        return sum(storages.values()) - sum(storages.get(tensor.untyped_storage().data_ptr(), 0) for tensor in but)

    for module in network.modules():
        module.register_forward_hook(lambda module, inputs, output: made.append(weakref.ref(output)))
    for _, code in SharedRoutes(network, routes_of(network.space, 20), memory)(*inputs):
        most = max(most, bytes_alive(but=(code, inputs[0])))
    assert most <= memory
    assert memory == 0 or most > 0


def test_no_values_remain_after_a_run(supernet):
    inputs = features(dtype=torch.float64)
    outputs = [weakref.ref(code) for _, code in SharedRoutes(supernet, routes_of(supernet.space, 5), PLENTY)(*inputs)]
    assert all(reference() is None for reference in outputs)


def test_second_run_on_other_features():
    network = make_network("full").eval()
    routes = routes_of(network.space, 6)
    shared = SharedRoutes(network, routes, PLENTY)
    for videos in (3, 1):
        inputs = features(videos)
        for number, code in shared(*inputs):
            assert torch.equal(code, network(*inputs, routes[number]))


def test_invalid_routes_are_refused(supernet):
    with pytest.raises(AvnasError, match=r"cell visual\.M1 has 8 candidates: the route has to choose"):
        SharedRoutes(supernet, [{}], PLENTY)
    route = {cell.name: 0 for cell in supernet.space.cells}
    with pytest.raises(AvnasError, match="cell T: the route chooses 7 of 2 candidates"):
        SharedRoutes(supernet, [{**route, "T": 7}], PLENTY)
    with pytest.raises(AvnasError, match="cell F: only routes of single candidates share what they run"):
        SharedRoutes(supernet, [{**route, "F": Mixture(torch.ones(2))}], PLENTY)
