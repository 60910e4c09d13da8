import pytest
import torch
from torch import nn

from avhash_nas.networks.vit_block import ViTBlock


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(3, 7, 12, dtype=torch.float64)


def randomized(block: nn.Module) -> nn.Module:
    torch.manual_seed(2)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block.double()


def test_block_equals_torchs_pre_norm_layer_if_heads_divide_the_width(x):
    block = randomized(ViTBlock(12, 3))
    layer = nn.TransformerEncoderLayer(
        12, 3, 48, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).double()
    ours = block.state_dict()
    bias = torch.cat([ours["query_bias"], torch.zeros(12), ours["value_bias"]])
    theirs = {"self_attn.in_proj_weight": ours["qkv.weight"], "self_attn.in_proj_bias": bias}
    pairs = {
        **{"self_attn.out_proj": "attention_out", "norm1": "attention_norm", "norm2": "mlp_norm"},
        **{"linear1": "mlp.0", "linear2": "mlp.2"},
    }
    for name, own in pairs.items():
        theirs |= {f"{name}.{part}": ours[f"{own}.{part}"] for part in ("weight", "bias")}
    layer.load_state_dict(theirs)
    torch.testing.assert_close(block(x), layer(x))


def test_attention_is_narrower_if_heads_do_not_divide_the_width(x):
    block = randomized(ViTBlock(12, 5))
    assert block.qkv.weight.shape == (30, 12)
    assert block(x).shape == x.shape
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order])


def test_published_width_and_heads_have_252_dimensions_of_attention():
    block = ViTBlock(256, 6)
    assert block.query_bias.shape == (252,)
    assert sum(parameter.numel() for parameter in block.parameters()) == 785_400
