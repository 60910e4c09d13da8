"""Mixtures run what is linear in one piece; they compute what candidates on their own would."""

import itertools

import pytest
import torch

from avhash_nas.networks import Mixture, mixed_cell
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.objectives import info_nce
from avhash_nas.operators import Operator
from avhash_nas.space import Cell
from reference import networks_mixture

SIZES = {"width": 6, "model_width": 6, "hidden": 24, "expand": 1, "heads": 2, "states": 3, "rank": 2, "dropout": 0.1}
NAMES = ("skip", "self_attention", "self_ssm", "conv3", "conv4", "conv5", "mlp", "ffn")


class Doubled(Operator):
    """A third party's operator, which knows nothing of merging."""

    name = "doubled"
    kinds = "MD"

    def forward(self, x, *rest):
        return 2 * x + sum(rest)


def draw(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def both(monkeypatch, work):
    """What some work gives as it is, and with the plain mixture."""
    fast = work()
    with monkeypatch.context() as patched:
        patched.setattr(mixed_cell, "weighted_sum", networks_mixture.weighted_sum)
        return fast, work()


def mixture_weights(space, seed=2):
    return {cell.name: draw(len(cell.candidates), seed=seed).softmax(0).requires_grad_() for cell in space.cells}


@pytest.mark.parametrize(
    ("preset", "training"), [("full", False), ("full", True), ("authors", True), ("visual", False), ("audio", True)]
)
def test_network_equals_the_plain_mixture_in_values_and_gradients(monkeypatch, make, preset, training):
    """In training, too: dropout masks are drawn in the candidates' order."""
    network = make(preset).double().train(training)
    features = [draw(4, 5, 8).requires_grad_(), draw(4, 5, 6).requires_grad_()]
    weights = mixture_weights(network.space)
    labels = torch.eye(2, dtype=torch.bool).repeat(2, 1)
    wanted = [*features[: len(network.space.modalities)], *weights.values(), *network.parameters()]
    if preset == "audio":
        wanted[0] = features[1]

    def work():
        torch.manual_seed(3)
        codes = network(*features, {cell: Mixture(each) for cell, each in weights.items()})
        return [codes, *torch.autograd.grad(info_nce(codes, labels), wanted)]

    fast, plain = both(monkeypatch, work)
    for one, other in zip(fast, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("detached", [(), (0,), (4,), (3, 4, 5), (0, 3, 4, 5), (1, 2, 5, 6), tuple(range(8))])
@pytest.mark.parametrize("candidates", [None, (5, 0, 3), (3, 1), (4, 5), (0,), (0, 7), (7, 6, 5, 4, 3, 2, 1, 0)])
def test_partial_and_detached_mixtures(monkeypatch, candidates, detached):
    torch.manual_seed(0)
    cell = MixedCell(Cell("visual.M1", NAMES), SIZES).double().eval()
    count = len(NAMES if candidates is None else candidates)
    weights, x, back = draw(count).requires_grad_(), draw(2, 4, 6).requires_grad_(), draw(2, 4, 6, seed=5)

    def work():
        for tensor in (weights, x, *cell.parameters()):
            tensor.grad = None
        z = cell(x, route={"visual.M1": Mixture(weights, candidates, frozenset(detached))})
        (z * back).sum().backward()
        return [z.detach(), *(tensor.grad for tensor in (weights, x, *cell.parameters()))]

    for one, other in zip(*both(monkeypatch, work), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("place", ["visual.M1", "visual.D1"])
def test_third_party_operator_in_a_mixture(monkeypatch, place):
    """Two of them and what can be merged, on one input and on two."""
    path = f"{Doubled.__module__}.Doubled"
    names = ("skip", path, "conv3") if place.endswith("M1") else ("add", path, "hadamard")
    torch.manual_seed(0)
    cell = MixedCell(Cell(place, names), SIZES).double()
    weights, inputs = draw(3).requires_grad_(), [draw(2, 4, 6), draw(2, 4, 6, seed=6)][: 1 + place.endswith("D1")]

    def work():
        z = cell(*inputs, route={place: Mixture(weights)})
        return [z, *torch.autograd.grad(z.pow(2).sum(), weights)]

    for one, other in zip(*both(monkeypatch, work), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_second_derivatives_of_a_mixture(monkeypatch):
    """By the weights and the input, where no candidate is a scan."""
    torch.manual_seed(0)
    cell = MixedCell(Cell("visual.M1", ("skip", "conv3", "conv5", "ffn")), SIZES).double().eval()
    weights, x = draw(4).requires_grad_(), draw(2, 4, 6).requires_grad_()
    tensors = [weights, x, *cell.parameters()]

    def work():
        z = cell(x, route={"visual.M1": Mixture(weights)})
        first = torch.autograd.grad(z.pow(3).sum(), tensors, create_graph=True)
        return torch.autograd.grad(sum(each.pow(2).sum() for each in first), tensors)

    for one, other in zip(*both(monkeypatch, work), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_mixture_under_autocast_is_close_to_float32(monkeypatch):
    torch.manual_seed(0)
    cell = MixedCell(Cell("visual.M1", NAMES), SIZES).eval()
    weights, x = draw(8).float().requires_grad_(), draw(2, 4, 6).float().requires_grad_()

    def work():
        with torch.autocast("cpu", torch.bfloat16):
            z = cell(x, route={"visual.M1": Mixture(weights)})
        return [z.float(), *torch.autograd.grad(z.float().pow(2).sum(), [weights, x])]

    for one, other in zip(*both(monkeypatch, work), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.1)


def test_detached_candidates_have_no_graph(monkeypatch):
    """A detached candidate runs without one, which saves its memory; what runs live keeps its own."""
    torch.manual_seed(0)
    cell = MixedCell(Cell("visual.M1", NAMES), SIZES)
    seen = {}
    for index, operator in enumerate(cell.operators.values()):
        operator.register_forward_hook(lambda module, given, z, index=index: seen.update({index: z.requires_grad}))
    x = torch.randn(2, 4, 6, requires_grad=True)
    cell(x, route={"visual.M1": Mixture(torch.ones(2, requires_grad=True), (6, 7), frozenset({7}))})
    assert seen == {6: True, 7: False}


def test_an_empty_batch_and_a_single_step(monkeypatch):
    torch.manual_seed(0)
    cell = MixedCell(Cell("visual.M1", NAMES), SIZES).double().eval()
    for batch, steps in itertools.product((0, 1), (1, 2)):
        weights, x = draw(8).requires_grad_(), draw(batch, steps, 6).requires_grad_()

        def work(weights=weights, x=x):
            z = cell(x, route={"visual.M1": Mixture(weights)})
            return [z, *torch.autograd.grad(z.sum(), [weights, x, *cell.parameters()])]

        for one, other in zip(*both(monkeypatch, work), strict=True):
            torch.testing.assert_close(one, other)
