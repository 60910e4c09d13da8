"""Unary, binary and position-wise operators, convolutions and gated fusion against their formulas."""

import math

import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.operators import (
    MLP,
    Add,
    Conv3,
    Conv4,
    Conv5,
    FeedForward,
    GatedAttention,
    Hadamard,
    LayerNorm,
    SiLU,
    Skip,
)
from avhash_nas.operators.convolution import CausalConv1d
from reference.operators_equations import conv1d, layer_norm, linear, silu

WIDTH = 4


@pytest.fixture
def x():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 6, WIDTH, dtype=torch.float64, generator=generator).requires_grad_()


@pytest.fixture
def y():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 6, WIDTH, dtype=torch.float64, generator=generator).requires_grad_()


def assert_same(value, expected, inputs):
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(
        torch.autograd.grad(value.pow(2).sum(), inputs), torch.autograd.grad(expected.pow(2).sum(), inputs)
    )


def test_skip_returns_its_input(x):
    assert Skip()(x) is x


def test_silu(x):
    assert_same(SiLU()(x), silu(x), [x])


def test_layer_norm(x):
    norm = LayerNorm(width=WIDTH).double()
    torch.nn.init.normal_(norm.norm.weight)
    torch.nn.init.normal_(norm.norm.bias)
    assert_same(norm(x), layer_norm(x, norm.norm.weight, norm.norm.bias), [x, *norm.parameters()])


def test_add_and_hadamard(x, y):
    assert torch.equal(Add()(x, y), x + y)
    assert torch.equal(Hadamard()(x, y), x * y)


def test_mlp(x):
    mlp = MLP(width=WIDTH).double().eval()
    assert_same(mlp(x), linear(x, mlp.linear.weight, mlp.linear.bias), [x, *mlp.parameters()])


def test_mlp_drops_outputs(x):
    torch.manual_seed(0)
    assert (MLP(width=WIDTH, dropout=0.9).double()(x) == 0).any()


def test_ffn(x):
    ffn = FeedForward(width=WIDTH, hidden=7).double().eval()
    inner = linear(x, ffn.linear_in.weight, ffn.linear_in.bias)
    expected = linear(torch.where(inner > 0, inner, 0.0), ffn.linear_out.weight, ffn.linear_out.bias)
    assert_same(ffn(x), expected, [x, *ffn.parameters()])


def test_ffn_drops_inner_values_only(x):
    torch.manual_seed(0)
    ffn = FeedForward(width=WIDTH, hidden=7, dropout=0.5).double()
    assert not torch.equal(ffn(x), ffn(x))
    assert (ffn(x) != 0).all()


@pytest.mark.parametrize("operator", [Conv3, Conv4, Conv5])
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_convolution(operator, steps, x):
    convolution = operator(width=WIDTH).double()
    x = x[:, :steps]
    weight, bias = convolution.conv1d.weight, convolution.conv1d.bias
    assert weight.shape[-1] == int(operator.name[-1])
    assert_same(convolution(x), conv1d(x, weight, bias), [x, *convolution.parameters()])


def test_causal_convolution_has_the_parameters_of_conv1d():
    state = torch.nn.Conv1d(WIDTH, WIDTH, 3, groups=WIDTH).state_dict()
    convolution = CausalConv1d(WIDTH, 3)
    convolution.load_state_dict(state, strict=True)
    assert all(torch.equal(value, state[name]) for name, value in convolution.state_dict().items())


def test_gated_attention(x, y):
    fusion = GatedAttention(width=WIDTH).double()
    gate = torch.tanh(linear(torch.cat((x, y), -1), fusion.gate.weight, fusion.gate.bias))
    rho = torch.exp(gate[..., 0]) / (torch.exp(gate[..., 0]) + torch.exp(gate[..., 1]))
    expected = rho[..., None] * x + (1 - rho[..., None]) * y
    assert_same(fusion(x, y), expected, [x, y, *fusion.parameters()])


def test_gate_range_is_limited(x, y):
    fusion = GatedAttention(width=WIDTH).double()
    torch.nn.init.normal_(fusion.gate.weight, std=1e3)
    rho = fusion(torch.ones_like(x), torch.zeros_like(y))
    bound = 1 / (1 + math.exp(2))
    assert rho.min() >= bound - 1e-12
    assert rho.max() <= 1 - bound + 1e-12


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MLP(width=0), "mlp: width is 0, it must be at least 1"),
        (lambda: FeedForward(width=4, hidden=-1), "ffn: hidden is -1, it must be at least 1"),
        (lambda: MLP(width=4, dropout=1.0), "mlp: dropout is 1.0, it must be at least 0 and below 1"),
        (lambda: FeedForward(width=4, hidden=4, dropout=-0.1), "ffn: dropout is -0.1, it must be at least 0"),
        (lambda: Conv3(width=0), "conv3: width is 0"),
        (lambda: LayerNorm(width=0), "layer_norm: width is 0"),
        (lambda: GatedAttention(width=0), "gated_attention: width is 0"),
    ],
)
def test_invalid_values_are_rejected(build, message):
    with pytest.raises(AvnasError, match=message):
        build()
