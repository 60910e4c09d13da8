"""From a sequence to a relaxed code."""

import torch

from avhash_nas.networks import HashLayer


def test_hash_layer_equals_eq_34():
    """Mean over time, fully connected layer, tanh, with plain loops."""
    torch.manual_seed(0)
    layer = HashLayer(width=4, bits=3).double()
    h = torch.randn(2, 5, 4, dtype=torch.float64)
    for video in range(2):
        for bit in range(3):
            mean = [sum(h[video, t, d] for t in range(5)) / 5 for d in range(4)]
            value = sum(layer.fc.weight[bit, d] * mean[d] for d in range(4)) + layer.fc.bias[bit]
            torch.testing.assert_close(layer(h)[video, bit], torch.tanh(value))


def test_plain_layer_has_the_papers_parameters():
    assert {name for name, _ in HashLayer(width=4, bits=3).named_parameters()} == {"fc.weight", "fc.bias"}


def test_hidden_layer():
    torch.manual_seed(0)
    layer = HashLayer(width=4, bits=3, hidden=6, dropout=0.5).double().eval()
    h = torch.randn(7, 5, 4, dtype=torch.float64)
    first = layer.body[0]
    hidden = torch.relu(h.mean(1) @ first.weight.T + first.bias)
    torch.testing.assert_close(layer(h), torch.tanh(hidden @ layer.fc.weight.T + layer.fc.bias))
    assert not torch.equal(layer.train()(h), layer(h))  # dropout


def test_norm_is_batch_normalization_of_the_pooled_features():
    torch.manual_seed(0)
    layer = HashLayer(width=4, bits=3, norm=True).double()
    h = 3 + torch.randn(7, 5, 4, dtype=torch.float64)
    mean = h.mean(1)
    normal = (mean - mean.mean(0)) / torch.sqrt(mean.var(0, correction=0) + 1e-5)
    torch.testing.assert_close(layer(h), torch.tanh(normal @ layer.fc.weight.T + layer.fc.bias))
    assert not list(layer.norm.parameters())


def test_balance_centers_every_bit_over_the_batch():
    """Before tanh each bit has mean 0 and variance 1 over the batch, whatever the layer before says."""
    torch.manual_seed(0)
    layer = HashLayer(width=4, bits=6, balance=True).double()
    h = 3 + torch.randn(64, 5, 4, dtype=torch.float64)
    values = torch.atanh(layer(h))
    torch.testing.assert_close(values.mean(0), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-8)
    torch.testing.assert_close(values.var(0, correction=0), torch.ones(6, dtype=torch.float64), rtol=1e-2, atol=0)
    plain = HashLayer(width=4, bits=6).double()
    plain.load_state_dict(layer.state_dict(), strict=False)
    assert torch.atanh(plain(h)).mean(0).abs().max() > 0.1
    assert not list(layer.balance.parameters())


def test_balance_uses_running_statistics_in_evaluation():
    torch.manual_seed(0)
    layer = HashLayer(width=4, bits=6, balance=True).double()
    h = 3 + torch.randn(64, 5, 4, dtype=torch.float64)
    for _ in range(3):
        layer(h)
    layer.eval()
    torch.testing.assert_close(layer(h)[:1], layer(h[:1]))
    expected = (layer.fc(h.mean(1)) - layer.balance.running_mean) / torch.sqrt(layer.balance.running_var + 1e-5)
    torch.testing.assert_close(layer(h), torch.tanh(expected))
