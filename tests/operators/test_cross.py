"""CrossMamba and cross-attention against the paper's equations, in float64, values and gradients."""

import pytest
import torch

from avhash_nas.operators import AlignedCrossSSM, CrossAttention, CrossSSM, SelfFusionAttention, SelfFusionSSM
from reference.operators_equations import cross_mamba, layer_norm, linear, multi_head_attention

WIDTH, EXPAND, STATES, RANK = 6, 2, 3, 2
INNER = EXPAND * WIDTH


def cross_ssm(**options):
    """A float64 module with random parameters: initial zeros would hide errors."""
    torch.manual_seed(0)
    block = CrossSSM(width=WIDTH, expand=EXPAND, states=STATES, rank=RANK, **options).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


def equation_weights(block):
    """Parameters by their names in the equations."""
    return {
        "norm_x": (block.norm_x.weight, block.norm_x.bias),
        "norm_y": (block.norm_y.weight, block.norm_y.bias),
        "linear_conv": block.in_proj_x.weight[:INNER],
        "linear_silu": block.in_proj_x.weight[INNER : 2 * INNER],
        "linear_res": block.in_proj_x.weight[2 * INNER :],
        "linear_y": block.in_proj_y.weight,
        "conv_x": (block.conv1d_x.weight, block.conv1d_x.bias),
        "conv_y": (block.conv1d_y.weight, block.conv1d_y.bias),
        "y_proj": block.y_proj.weight,
        "dt_proj": block.dt_proj.weight,
        "dt_bias": block.dt_proj.bias,
        "A1_log": block.A1_log,
        "A2_log": block.A2_log,
        "linear_f": block.out_proj.weight,
    }


def sequences(batch=2, steps=5):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, steps, WIDTH, generator=generator, dtype=torch.float64).requires_grad_() for _ in "xy"]


def gradients(value, block, inputs):
    weight = torch.linspace(-1, 2, value.numel(), dtype=value.dtype).view_as(value)
    return torch.autograd.grad((value * weight).sum(), [*inputs, *block.parameters()])


@pytest.mark.parametrize("reverse_control", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_cross_ssm_matches_equations_15_to_32(steps, reverse_control):
    block, (x, y) = cross_ssm(reverse_control=reverse_control), sequences(steps=steps)
    expected = cross_mamba(x, y, equation_weights(block), RANK, STATES, reverse_control)
    value = block(x, y)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradients(value, block, (x, y)), gradients(expected, block, (x, y)))


def test_reverse_control_changes_the_output():
    x, y = sequences()
    assert not torch.allclose(cross_ssm()(x, y), cross_ssm(reverse_control=True)(x, y))


def test_reverse_control_keeps_time_symmetry():
    """With equal decay in both directions and no convolution over time, reversing both videos reverses the result."""
    x, y = sequences()
    for aligned in (True, False):
        block = cross_ssm(reverse_control=aligned)
        with torch.no_grad():
            block.A2_log.copy_(block.A1_log)
            for convolution in (block.conv1d_x, block.conv1d_y):
                convolution.weight[..., :-1] = 0
        assert torch.allclose(block(x.flip(1), y.flip(1)), block(x, y).flip(1)) == aligned


def test_y_controls_the_scan_at_all_steps_of_x():
    block, (x, y) = cross_ssm(), sequences()
    (gradient,) = torch.autograd.grad(block(x, y).sum(), y)
    assert (gradient.abs().sum((0, 2)) > 0).all()


def test_aligned_cross_ssm_matches_reverse_control():
    aligned = AlignedCrossSSM(width=WIDTH, expand=EXPAND, states=STATES, rank=RANK).double()
    block = cross_ssm(reverse_control=True)
    aligned.load_state_dict(block.state_dict())
    x, y = sequences()
    assert torch.equal(aligned(x, y), block(x, y))


def test_cross_attention_matches_its_equation():
    torch.manual_seed(0)
    block = CrossAttention(width=WIDTH, heads=3).double().eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    x, _ = sequences()
    y = sequences(steps=4)[1]
    key = linear(y, block.key_value_proj.weight[:WIDTH], block.key_value_proj.bias[:WIDTH])
    value = linear(y, block.key_value_proj.weight[WIDTH:], block.key_value_proj.bias[WIDTH:])
    query = linear(x, block.query_proj.weight, block.query_proj.bias)
    attended = multi_head_attention(query, key, value, heads=3)
    expected = layer_norm(
        x + linear(attended, block.out_proj.weight, block.out_proj.bias), block.norm.weight, block.norm.bias
    )
    result = block(x, y)
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(gradients(result, block, (x, y)), gradients(expected, block, (x, y)))


def test_self_fusion_matches_the_cross_operator():
    x, _ = sequences()
    attention = SelfFusionAttention(width=WIDTH, heads=3).double().eval()
    assert torch.equal(attention(x), attention.cross(x, x))
    fusion = SelfFusionSSM(width=WIDTH, expand=EXPAND, states=STATES, rank=RANK).double()
    torch.testing.assert_close(fusion(x), cross_mamba(x, x, equation_weights(fusion.cross), RANK, STATES))
    aligned = SelfFusionSSM(width=WIDTH, expand=EXPAND, states=STATES, rank=RANK, reverse_control=True).double()
    torch.testing.assert_close(aligned(x), cross_mamba(x, x, equation_weights(aligned.cross), RANK, STATES, True))
