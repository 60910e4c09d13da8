"""Filters over time against a loop, their sums, and their derivatives."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from avhash_nas.operators import Conv5, Skip
from avhash_nas.operators.filters import Filter, merge_filters, run_filter
from avhash_nas.operators.weighted_sum import weighted_sum
from reference.operators_equations import conv1d


def draw(*shape, seed=0):
    made = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.integers(1, 7), st.integers(1, 4), st.integers(1, 6), st.booleans())
def test_a_filter_is_the_loop_over_time(batch, steps, width, kernel, biased):
    x, taps, bias = draw(batch, steps, width), draw(width, kernel, seed=1), draw(width, seed=2) if biased else None
    expected = conv1d(x, taps[:, None], torch.zeros(width, dtype=torch.float64) if bias is None else bias)
    y, back = run_filter(x, taps, bias), draw(batch, steps, width, seed=3)
    torch.testing.assert_close(y, expected)
    tensors = [x, taps] if bias is None else [x, taps, bias]
    expected_gradients = torch.autograd.grad(expected, tensors, back)
    torch.testing.assert_close(torch.autograd.grad(y, tensors, back), expected_gradients)


def test_first_and_second_derivatives():
    x, weights, terms = draw(2, 4, 3), draw(2, seed=1), [draw(2, 4, 3, seed=seed) for seed in (2, 3)]
    filters = draw(3, 1, seed=4), draw(3, 3, seed=5), draw(3, seed=6)

    def filtered(x, first, second, short, long, bias):
        return run_filter(x, *merge_filters([first, second], [Filter(short, None), Filter(long, bias)]))

    def summed(first, second, start, *terms):
        return weighted_sum([first, second], terms, start=start)

    for function, tensors in ((filtered, [x, *weights.unbind(), *filters]), (summed, [*weights.unbind(), x, *terms])):
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        assert gradcheck(function, leaves)
        assert gradgradcheck(function, leaves)


def test_half_precision_sums_in_single():
    """As a convolution does: one rounding at the end, whatever the number of taps."""
    x, taps = draw(2, 6, 4).detach().bfloat16(), draw(4, 5, seed=1).detach().float()
    y = run_filter(x, taps, None)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, run_filter(x.float(), taps, None).bfloat16())


@pytest.mark.parametrize("operator", [Skip(), Conv5(width=4).double()])
def test_an_operator_is_the_filter_that_it_gives(operator):
    x = draw(2, 6, 4).detach()
    torch.testing.assert_close(run_filter(x, *operator.as_filter(x)), operator(x))
