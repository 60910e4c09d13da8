"""Signs with a gradient, against their definitions entry by entry."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from avhash_nas.networks import hard_sign, identity_sign

VALUES = st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=9)


@pytest.mark.parametrize("binarize", [hard_sign, identity_sign])
@given(values=VALUES)
def test_binarizers_return_signs_and_plus_one_for_zero(binarize, values):
    x = torch.tensor([*values, 0.0, -0.0], dtype=torch.float64)
    assert binarize(x).tolist() == [1.0 if value >= 0 else -1.0 for value in x.tolist()]


@given(values=VALUES)
def test_hard_sign_passes_the_gradient_within_one(values):
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    upstream = torch.arange(1.0, len(values) + 1, dtype=torch.float64)
    hard_sign(x).backward(upstream)
    expected = [weight if abs(value) <= 1 else 0.0 for value, weight in zip(x.tolist(), upstream.tolist())]
    assert x.grad.tolist() == expected


@given(values=VALUES, upstream=st.data())
def test_identity_sign_clips_the_gradient(values, upstream):
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    gradient = upstream.draw(st.lists(st.floats(-5, 5), min_size=len(values), max_size=len(values)))
    identity_sign(x).backward(torch.tensor(gradient, dtype=torch.float64))
    assert x.grad.tolist() == [min(1.0, max(-1.0, each)) for each in gradient]
