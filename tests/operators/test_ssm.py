"""The bare scan against its equations, and the Mamba block against the one of transformers."""

import math

import pytest
import torch
from transformers import MambaConfig
from transformers.models.mamba.modeling_mamba import MambaMixer as TransformersMixer

from avhash_nas.operators import MambaBlock, SelfSSM
from avhash_nas.operators.ssm import MambaMixer, step_projection
from reference.operators_equations import self_ssm


def test_self_ssm_matches_the_bare_scan():
    torch.manual_seed(0)
    block = SelfSSM(width=4, states=3, rank=2).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    weights = {
        "x_proj": block.x_proj.weight,
        "dt_proj": block.dt_proj.weight,
        "dt_bias": block.dt_proj.bias,
        "A_log": block.A_log,
        "D": block.D,
    }
    value, expected = block(x), self_ssm(x, weights, rank=2, states=3)
    torch.testing.assert_close(value, expected)
    inputs = [x, *block.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(value.pow(2).sum(), inputs), torch.autograd.grad(expected.pow(2).sum(), inputs)
    )


@pytest.mark.parametrize("steps", [1, 3, 25])
def test_mixer_matches_transformers(steps):
    torch.manual_seed(0)
    config = MambaConfig(
        hidden_size=8,
        intermediate_size=16,
        expand=2,
        state_size=4,
        time_step_rank=2,
        conv_kernel=4,
        num_hidden_layers=1,
    )
    theirs = TransformersMixer(config, layer_idx=0).double()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ours = MambaMixer(8, 16, states=4, rank=2).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, steps, 8, dtype=torch.float64, requires_grad=True)
    y, expected = ours(x), theirs(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)  # they compute A and the skip term in float32
    named = dict(theirs.named_parameters())
    gradients = torch.autograd.grad(y.sum(), [x, *ours.parameters()])
    wanted = torch.autograd.grad(expected.sum(), [x, *(named[name] for name, _ in ours.named_parameters())])
    for ours_gradient, theirs_gradient in zip(gradients, wanted):
        assert (ours_gradient - theirs_gradient).abs().max() <= 1e-5 * theirs_gradient.abs().max()


def test_mamba_block_matches_its_equation():
    torch.manual_seed(0)
    block = MambaBlock(width=8, expand=2, states=4, rank=2).double()
    torch.nn.init.normal_(block.norm.weight)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    normed = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * block.norm.weight
    torch.testing.assert_close(block(x), x + block.mixer(normed))


def test_initialization_matches_mamba():
    torch.manual_seed(0)
    block = SelfSSM(width=1000, states=16, rank=4)
    torch.testing.assert_close(-torch.exp(block.A_log), -torch.arange(1.0, 17.0).expand(1000, 16))
    assert (block.D == 1).all()
    assert block.dt_proj.weight.abs().max() <= 0.5  # 1 / sqrt(rank)
    step = torch.nn.functional.softplus(block.dt_proj.bias.double())
    assert step.min() >= 1e-3 * (1 - 1e-4)
    assert step.max() <= 1e-1 * (1 + 1e-4)
    below = (step.log() < math.log(1e-2)).double().mean()  # half of them, as the logarithm is uniform
    assert abs(below - 0.5) < 5 * 0.5 / math.sqrt(1000)


def test_step_projection_uses_the_default_dtype():
    previous = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert step_projection(2, 3).bias.dtype == torch.float64
        assert SelfSSM(width=4, states=3, rank=2)(torch.randn(1, 2, 4)).dtype == torch.float64
    finally:
        torch.set_default_dtype(previous)
