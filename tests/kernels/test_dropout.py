"""Dropout: rate, scale, and reproducibility."""

import pytest
import torch

from avhash_nas.kernels import dropout
from avhash_nas.operators.attention import multi_head_attention
from avhash_nas.operators.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.97])
@pytest.mark.parametrize("count", [400_003, 7])
def test_drop_rate_and_scale(probability, count):
    torch.manual_seed(0)
    dropped = dropout(torch.ones(count), probability)
    kept = dropped[dropped != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - probability)), rtol=1e-3, atol=0)
    if count > 7:
        spread = (probability * (1 - probability) / count) ** 0.5
        assert abs(1 - len(kept) / count - probability) < 5 * spread


def test_neighbors_are_dropped_independently():
    """Also values that share a random number: all 16 patterns of four values are equally frequent at p = 0.5."""
    torch.manual_seed(0)
    patterns = (dropout(torch.ones(400_000), 0.5) != 0).view(-1, 4).long() @ torch.tensor([1, 2, 4, 8])
    counts = torch.bincount(patterns, minlength=16).double()
    chi_square = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert chi_square < 44.3  # 15 degrees of freedom, one run in 10,000


def test_neighboring_seeds_give_independent_masks():
    """Consecutive seeds must give independent masks."""
    torch.manual_seed(0)
    masks = torch.stack([(dropout(torch.ones(100_000), 0.5) != 0).double() - 0.5 for _ in range(20)])
    correlations = (masks @ masks.T * 4 / 100_000**0.5).triu(1)
    assert correlations.abs().max() < 5


def test_rectify_passes_only_positive_values():
    torch.manual_seed(0)
    x = torch.randn(1000, dtype=torch.float64, requires_grad=True)
    y = dropout(x, 0.25, rectify=True)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient * x, y)
    assert not y[x <= 0].any()
    assert 0.6 < float((y[x > 0] != 0).double().mean()) < 0.9
    assert torch.equal(dropout(x, 0.0, rectify=True), x.relu())
    assert torch.autograd.gradgradcheck(seeded(rectify=True), x[:6].detach().requires_grad_())


def seeded(**options):
    def function(x):
        torch.manual_seed(1)
        return dropout(x, 0.25, **options)

    return function


def test_seed_determines_the_mask_of_value_and_gradient():
    x = torch.randn(6, 5).requires_grad_()
    outputs = []
    for _ in range(2):
        torch.manual_seed(0)
        outputs.append(dropout(x, 0.3))
    assert torch.equal(*outputs)
    (gradient,) = torch.autograd.grad(outputs[0].sum(), x)
    torch.testing.assert_close(gradient * x, outputs[0])
    assert not torch.equal(dropout(x, 0.3), outputs[0])


def test_dropout_is_identity_outside_training_and_at_zero():
    x = torch.randn(4)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert not torch.equal(Dropout(0.9)(torch.ones(100)), torch.ones(100))


@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_attention_with_tiny_dropout_matches_attention(value):
    """Both sides use different code paths of torch."""
    query, key, value_ = (torch.randn(2, steps, 6, dtype=torch.float64) for steps in (3, 4, 4))
    got = multi_head_attention(query, key, value_, 2, value)
    parts = [
        (query[..., part] @ key[..., part].mT / 3**0.5).softmax(-1) @ value_[..., part]
        for part in (slice(3), slice(3, 6))
    ]
    torch.testing.assert_close(got, torch.cat(parts, -1))
