"""A cell runs what the route says: one candidate, or a weighted sum of some (Eq. 39)."""

import numpy as np
import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Mixture, mixture_route
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.operators import Operator
from avhash_nas.space import Cell

SIZES = {"width": 6, "model_width": 6, "hidden": 24, "expand": 1, "heads": 2, "states": 3, "rank": 2, "dropout": 0.0}
NAMES = ("skip", "self_ssm", "conv3", "mlp", "ffn")


class Scale(Operator):
    """A third party's operator."""

    name = "scale"
    kinds = "M"

    def __init__(self, *, width, model_width, factor=3.0):
        super().__init__()
        self.widths = (width, model_width)
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return self.factor * x


class Greedy(Operator):
    name = "greedy"
    kinds = "M"

    def __init__(self, *, width, kernel, color):
        super().__init__()


class Nosy(Scale):
    """Takes anything: it is given what it names and no more."""

    def __init__(self, *, width, model_width, **rest):
        super().__init__(width=width, model_width=model_width)
        self.rest = rest


@pytest.fixture
def cell():
    torch.manual_seed(0)
    return MixedCell(Cell("visual.M1", NAMES), SIZES).double()


@pytest.fixture
def x():
    return torch.randn(2, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def run(cell, x, choice):
    return cell(x, route={"visual.M1": choice})


def gradients(cell, name):
    return [parameter.grad for parameter in cell.operators[name].parameters()]


def test_an_index_runs_only_that_candidate(cell, x):
    for index, name in enumerate(NAMES):
        assert torch.equal(run(cell, x, index), cell.operators[name](x))
        assert torch.equal(run(cell, x, np.int64(index)), cell.operators[name](x))


def test_a_mixture_is_the_weighted_sum(cell, x):
    weights = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25], dtype=torch.float64)
    expected = sum(float(weight) * cell.operators[name](x) for weight, name in zip(weights, NAMES, strict=True))
    torch.testing.assert_close(run(cell, x, Mixture(weights)), expected)
    torch.testing.assert_close(cell(x, route=mixture_route({"visual.M1": weights})), expected)


def test_one_hot_mixture_equals_the_single_path(cell, x):
    for index in range(len(NAMES)):
        weights = torch.zeros(len(NAMES), dtype=torch.float64)
        weights[index] = 1
        torch.testing.assert_close(run(cell, x, Mixture(weights)), run(cell, x, index))


def test_partial_mixture_runs_only_its_candidates(cell, x):
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    mixed = run(cell, x, Mixture(weights, candidates=(4, 1)))
    torch.testing.assert_close(mixed, 0.25 * cell.operators["ffn"](x) + 0.75 * cell.operators["self_ssm"](x))
    mixed.sum().backward()
    assert all(gradient is not None for name in ("ffn", "self_ssm") for gradient in gradients(cell, name))
    assert all(gradient is None for name in ("conv3", "mlp") for gradient in gradients(cell, name))


def test_a_single_path_leaves_the_other_candidates_without_gradient(cell, x):
    run(cell, x, 2).sum().backward()
    assert all(gradient is not None for gradient in gradients(cell, "conv3"))
    assert all(gradient is None for name in ("self_ssm", "mlp", "ffn") for gradient in gradients(cell, name))


def test_detached_candidate_gets_no_parameter_gradient(cell, x):
    """Its weight's gradient is the inner product of its output and the gradient that reaches the cell."""
    weights = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    x = x.requires_grad_()
    back = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mixture = Mixture(weights, candidates=(2, 3), detached=frozenset({3}))
    (run(cell, x, mixture) * back).sum().backward()
    expected = torch.stack([(cell.operators[name](x) * back).sum() for name in ("conv3", "mlp")])
    torch.testing.assert_close(weights.grad, expected.detach())
    assert all(gradient is None for gradient in gradients(cell, "mlp"))
    assert all(gradient is not None for gradient in gradients(cell, "conv3"))
    (through_conv,) = torch.autograd.grad((0.5 * cell.operators["conv3"](x) * back).sum(), x)
    torch.testing.assert_close(x.grad, through_conv)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (5, "the route chooses 5 of 5 candidates"),
        (-1, "the route chooses -1 of 5 candidates"),
        (Mixture(torch.ones(4)), "4 weights for 5 candidates that run"),
        (Mixture(torch.ones(5), candidates=(0, 1)), "5 weights for 2 candidates that run"),
        (Mixture(torch.ones(2), candidates=(0, 7)), "the route chooses 7 of 5 candidates"),
    ],
)
def test_invalid_route_is_refused(cell, x, choice, message):
    with pytest.raises(AvnasError, match=rf"cell visual\.M1: {message}"):
        run(cell, x, choice)


def test_route_without_the_cell_is_refused(cell, x):
    for route in (None, {}, {"visual.M2": 1}):
        with pytest.raises(AvnasError, match=r"cell visual\.M1 has 5 candidates: the route has to choose"):
            cell(x, route=route)


def test_cell_with_one_candidate_needs_no_route(x):
    cell = MixedCell(Cell("visual.U1", ("silu",)), SIZES)
    torch.testing.assert_close(cell(x, route=None), torch.nn.functional.silu(x))


def test_third_party_operator(x):
    path = f"{Scale.__module__}.Scale"
    cell = MixedCell(Cell("visual.M1", ("skip", path)), {**SIZES, "width": 12})
    assert torch.equal(run(cell, x, 1), 3 * x)
    operator = list(cell.operators.values())[1]
    assert operator.widths == (12, 6)
    assert [name for name, _ in cell.named_parameters()] == [f"operators.{path.replace('.', '_')}.factor"]


def test_operator_with_var_keywords_gets_only_named_sizes():
    cell = MixedCell(Cell("visual.M1", (f"{Nosy.__module__}.Nosy",)), SIZES)
    assert next(iter(cell.operators.values())).rest == {}


def test_operator_with_an_unknown_argument_is_refused():
    message = r"Greedy: asks for kernel, color; a network offers width, model_width, hidden, expand, heads, states,"
    with pytest.raises(AvnasError, match=message):
        MixedCell(Cell("visual.M1", (f"{Greedy.__module__}.Greedy",)), SIZES)


def test_operator_of_another_kind_is_refused():
    with pytest.raises(AvnasError, match=r"Scale fills cells of kind M, not T"):
        MixedCell(Cell("T", (f"{Scale.__module__}.Scale",)), SIZES)


def test_unknown_operator_is_refused():
    with pytest.raises(AvnasError, match="unknown operator 'conv_3' for cells of kind M: did you mean 'conv3'"):
        MixedCell(Cell("visual.M1", ("conv_3",)), SIZES)
