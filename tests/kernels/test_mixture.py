"""Mixtures of filters and terms against a loop oracle, with both backends, and their derivatives."""

import warnings
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from avhash_nas.kernels import Filter, causal_filter, dropout, mixture
from avhash_nas.kernels import mixture_native as module
from avhash_nas.kernels.compiled import CompileError
from avhash_nas.kernels.mixture_native import mixture_native
from avhash_nas.kernels.mixture_torch import mixture_torch
from avhash_nas.operators import Conv5, Skip
from reference.operators_equations import conv1d


def native(*arguments):
    if not module.fits(torch.ones(1)):
        pytest.skip("no compiler")
    return mixture_native(*arguments)


BACKENDS = {"native": native, "torch": mixture_torch}


def draw(*shape, seed=0):
    made = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_()


def make(shape, kernels, biased, terms):
    """x, filter weights, taps, biases or None, weights and terms."""
    count, width = len(kernels), shape[-1]
    taps = [draw(width, kernel, seed=10 + kernel) for kernel in kernels]
    biases = [draw(width, seed=20 + i) if one else None for i, one in enumerate(biased)]
    weights = [*draw(count + terms, seed=30).detach().unbind()]
    for weight in weights:
        weight.requires_grad_()
    return (
        draw(*shape),
        weights[:count],
        taps,
        biases,
        weights[count:],
        [draw(*shape, seed=40 + i) for i in range(terms)],
    )


def by_loops(x, filter_weights, taps, biases, weights, terms):
    nothing = torch.zeros(x.shape[-1], dtype=x.dtype)
    filtered = [conv1d(x, each[:, None], nothing if bias is None else bias) for each, bias in zip(taps, biases)]
    return sum(w * z for w, z in [*zip(filter_weights, filtered), *zip(weights, terms)])


def flat(x, *groups):
    return [each for each in (x, *(part for group in groups for part in group)) if each is not None]


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 18),
    st.integers(1, 7),
    st.sampled_from([1, 4, 16, 19, 33]),
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=4, unique_by=lambda each: each[0]),
    st.integers(0, 3),
)
def test_mixture_matches_the_loop_oracle(backend, batch, steps, width, filters, terms):
    """Values and all gradients, including taps that reach before the first step."""
    kernels, biased = zip(*filters, strict=True)
    x, filter_weights, taps, biases, weights, others = make((batch, steps, width), kernels, biased, terms)
    expected = by_loops(x, filter_weights, taps, biases, weights, others)
    y = BACKENDS[backend](x, filter_weights, [*map(Filter, taps, biases)], weights, others)
    torch.testing.assert_close(y, expected)
    tensors, back = flat(x, filter_weights, taps, biases, weights, others), draw(*x.shape, seed=3)
    wanted = torch.autograd.grad(expected, tensors, back)
    torch.testing.assert_close(torch.autograd.grad(y, tensors, back), wanted)


@pytest.mark.parametrize("backend", BACKENDS)
def test_terms_without_filters(backend):
    *_, weights, terms = make((2, 3, 5), (), (), 3)
    y = BACKENDS[backend](None, (), (), weights, terms)
    torch.testing.assert_close(y, sum(w * z for w, z in zip(weights, terms)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_first_and_second_derivatives(backend):
    x, filter_weights, taps, biases, weights, terms = make((2, 4, 3), (1, 3), (False, True), 2)

    def function(x, *rest):
        a, b, short, long, bias, c, d, one, other = rest
        return BACKENDS[backend](x, [a, b], [Filter(short, None), Filter(long, bias)], [c, d], [one, other])

    leaves = [each.detach().requires_grad_() for each in flat(x, filter_weights, taps, biases, weights, terms)]
    assert gradcheck(function, leaves)
    assert gradgradcheck(function, leaves)


def test_only_required_gradients_are_computed():
    x, filter_weights, taps, biases, weights, terms = make((2, 4, 3), (3,), (True,), 2)
    x, fixed, terms[1] = x.detach(), taps[0].detach(), terms[1].detach()
    mixture(weights, terms, x, filter_weights, [Filter(fixed, biases[0])]).sum().backward()
    assert x.grad is None
    assert terms[1].grad is None
    torch.testing.assert_close(terms[0].grad, torch.full_like(terms[0], weights[0].item()))
    torch.testing.assert_close(biases[0].grad, torch.full_like(biases[0], 8 * filter_weights[0].item()))
    torch.testing.assert_close(weights[1].grad, terms[1].sum())


def test_result_does_not_depend_on_threads():
    given = make((37, 5, 33), (1, 5), (False, True), 2)
    x, filter_weights, taps, biases, weights, terms = given
    tensors, found = flat(x, filter_weights, taps, biases, weights, terms), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            y = mixture(weights, terms, x, filter_weights, [*map(Filter, taps, biases)])
            found.append([y, *torch.autograd.grad(y.pow(2).sum(), tensors)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_half_precision_accumulates_in_float32():
    """One rounding at the end, as in a convolution."""
    x, taps = draw(2, 6, 4).detach().bfloat16(), draw(4, 5, seed=1).detach().float()
    y = causal_filter(x, taps, None)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, causal_filter(x.float(), taps, None).bfloat16(), rtol=0.01, atol=0)


@pytest.mark.parametrize("operator", [Skip(), Conv5(width=4).double()])
def test_as_filter_matches_forward(operator):
    x = draw(2, 6, 4).detach()
    torch.testing.assert_close(causal_filter(x, *operator.as_filter(x)), operator(x))


def test_missing_compiler_falls_back_to_pytorch_with_one_warning(monkeypatch):
    def fail(*_, **__):
        raise CompileError("no C++ compiler found")

    load = module._load.__wrapped__
    monkeypatch.setattr(module, "compile_library", fail)
    monkeypatch.setattr(module, "_load", cache(load))
    *_, weights, terms = make((2, 3, 5), (), (), 2)
    with pytest.warns(UserWarning, match="run in PyTorch on the CPU.*no C\\+\\+ compiler found"):
        y = mixture(weights, terms)
    torch.testing.assert_close(y, weights[0] * terms[0] + weights[1] * terms[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.manual_seed(0)
        assert 0 < int((dropout(terms[0], 0.5) == 0).sum()) < terms[0].numel()
