"""Self-attention against a loop, and the Transformer layer against PyTorch's own."""

import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.operators import CrossAttention, SelfAttention, SelfFusionAttention, TransformerLayer
from reference.operators_equations import linear, multi_head_attention


def test_self_attention_has_no_output_projection():
    torch.manual_seed(0)
    block = SelfAttention(width=6, heads=3).double().eval()
    x = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    query, key, value = linear(x, block.in_proj.weight, block.in_proj.bias).split(6, -1)
    expected, result = multi_head_attention(query, key, value, heads=3), block(x)
    torch.testing.assert_close(result, expected)
    inputs = [x, *block.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(result.pow(2).sum(), inputs), torch.autograd.grad(expected.pow(2).sum(), inputs)
    )
    assert sum(parameter.numel() for parameter in block.parameters()) == 3 * (6 * 6 + 6)


def test_dropout_applies_to_attention_weights_in_training():
    torch.manual_seed(0)
    block = SelfAttention(width=4, heads=2, dropout=0.5)
    x = torch.randn(1, 6, 4)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))
    kept = SelfAttention(width=4, heads=2, dropout=0.0)
    assert torch.equal(kept(x), kept(x))


def test_transformer_layer_matches_pytorch():
    torch.manual_seed(0)
    theirs = torch.nn.TransformerEncoderLayer(6, 3, 10, dropout=0.0, batch_first=True).double()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ours = TransformerLayer(width=6, heads=3, hidden=10, dropout=0.0).double()
    names = {
        "attention.in_proj.weight": "self_attn.in_proj_weight",
        "attention.in_proj.bias": "self_attn.in_proj_bias",
        "out_proj": "self_attn.out_proj",
        "norm_attention": "norm1",
        "feed_forward.linear_in": "linear1",
        "feed_forward.linear_out": "linear2",
        "norm_feed_forward": "norm2",
    }
    state = theirs.state_dict()

    def translate(name):
        stem, suffix = name.rsplit(".", 1)
        return names.get(name) or f"{names[stem]}.{suffix}"

    ours.load_state_dict({name: state[translate(name)] for name in ours.state_dict()})
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("operator", [SelfAttention, CrossAttention, SelfFusionAttention])
def test_heads_must_divide_the_width(operator):
    with pytest.raises(AvnasError, match="12 heads do not divide the width 64: use 8 heads, or a width that is"):
        operator(width=64, heads=12)


def test_transformer_layer_heads_must_divide_the_width():
    with pytest.raises(AvnasError, match="self_attention: heads is 0, it must be at least 1"):
        TransformerLayer(width=64, heads=0, hidden=8)
