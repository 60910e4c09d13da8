"""The blocks of HAN and LINK against their equations and against torch's own attention."""

import pytest
import torch
from torch import nn

from avhash_nas.errors import AvnasError
from avhash_nas.operators import ChannelTimeGate, HybridAttention, WeightedExchange
from reference.parsing_equations import exchange, gate


def sequences(steps=(5, 5), width=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, count, width, generator=generator, dtype=torch.float64) for count in steps]


@pytest.mark.parametrize("axes", ["channel_time", "swapped"])
def test_gate(axes):
    operator = ChannelTimeGate(width=8, reduction=4, axes=axes).double()
    x, _ = sequences()
    kernel, bias = operator.map.weight[0], float(operator.map.bias.detach())
    expected = torch.stack([gate(video, operator.mlp, kernel, bias, axes) for video in x])
    torch.testing.assert_close(operator(x), expected)
    assert torch.autograd.gradcheck(operator, x[:1].requires_grad_())


def test_exchange():
    operator = WeightedExchange(width=8, alpha=0.7).double()
    with torch.no_grad():
        operator.beta.fill_(1.3)
    x, y = sequences((5, 4))
    expected = torch.stack([exchange(*pair, operator.alpha, operator.beta) for pair in zip(x, y, strict=True)])
    torch.testing.assert_close(operator(x, y), expected)
    small = [each[:1, :3, :4].clone().requires_grad_() for each in (x, y)]
    assert torch.autograd.gradcheck(operator, small)


def test_exchange_starts_as_the_identity_and_only_the_product_of_its_weights_counts():
    x, y = sequences()
    assert torch.equal(WeightedExchange(width=8, alpha=0.0).double()(x, y), x)
    one, other = WeightedExchange(width=8, alpha=0.5).double(), WeightedExchange(width=8, alpha=0.25).double()
    with torch.no_grad():
        other.beta.fill_(2.0)
    torch.testing.assert_close(one(x, y), other(x, y))
    assert [each.requires_grad for each in WeightedExchange(width=8, trained=False).parameters()] == [False, False]


@pytest.mark.parametrize("make", [lambda: WeightedExchange(width=8, alpha=0.7), lambda: hybrid()])
def test_the_order_of_the_other_modalitys_segments_means_nothing(make):
    x, y = sequences()
    operator = make().double()
    torch.testing.assert_close(operator(x, y[:, torch.tensor([3, 0, 4, 1, 2])]), operator(x, y))


def hybrid(dropout=0.0):
    return HybridAttention(width=8, heads=2, hidden=12, dropout=dropout)


def test_hybrid_attention_is_torchs_attention_twice_and_a_feed_forward_network():
    operator = hybrid().double()
    x, y = sequences((5, 3))
    attended = []
    for own, other in ((operator.across, y), (operator.within, x)):
        peer = nn.MultiheadAttention(8, 2, batch_first=True).double()
        with torch.no_grad():
            peer.in_proj_weight.copy_(own.in_proj.weight)
            peer.in_proj_bias.copy_(own.in_proj.bias)
            peer.out_proj.load_state_dict(own.out_proj.state_dict())
        attended.append(peer(x, other, other)[0])
    middle = operator.norm_attention(x + attended[0] + attended[1])
    fed = operator.feed_forward
    expected = operator.norm_feed_forward(middle + fed.linear_out(fed.linear_in(middle).relu()))
    torch.testing.assert_close(operator(x, y), expected)


def test_bad_options():
    with pytest.raises(AvnasError, match="axes: 'both' is none of channel_time, swapped"):
        ChannelTimeGate(width=8, axes="both")
    with pytest.raises(AvnasError, match="heads"):
        HybridAttention(width=8, heads=3, hidden=8)
