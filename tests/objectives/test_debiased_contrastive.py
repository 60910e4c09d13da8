import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.objectives import debiased_contrastive
from reference import objectives_masked_views as oracle


def views(seed: int, videos: int, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, videos, bits, generator=generator, dtype=torch.float64)
    return first, second


@given(
    seed=st.integers(0, 2**20),
    videos=st.integers(1, 7),
    bits=st.integers(1, 6),
    temperature=st.sampled_from([0.05, 0.5, 2.0]),
    prior=st.sampled_from([0.0, 0.1, 0.6]),
)
def test_loss_equals_the_reference(seed, videos, bits, temperature, prior):
    first, second = views(seed, videos, bits)
    expected = oracle.debiased_contrastive(first.tolist(), second.tolist(), temperature, prior)
    loss = debiased_contrastive(first, second, temperature, prior)
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradients_with_and_without_clipped_negatives():
    for prior in (0.0, 0.9):
        first, second = (view.requires_grad_() for view in views(4, 4, 3))
        assert torch.autograd.gradcheck(lambda x, y, p=prior: debiased_contrastive(x, y, 0.5, p), (first, second))


def test_loss_is_symmetric_in_views_and_scale_invariant():
    first, second = views(1, 5, 8)
    expected = debiased_contrastive(first, second)
    torch.testing.assert_close(debiased_contrastive(second, first), expected)
    torch.testing.assert_close(debiased_contrastive(3 * first, second / 7), expected)


def test_single_video_gives_zero_with_a_graph():
    first, second = (view.requires_grad_() for view in views(0, 1, 4))
    loss = debiased_contrastive(first, second)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert first.grad is not None
    assert first.grad.isfinite().all()


def test_a_tiny_temperature_and_zero_codes_stay_finite():
    first, second = (view.float().requires_grad_() for view in views(2, 6, 8))
    loss = debiased_contrastive(first, second, 0.01) + debiased_contrastive(first * 0, second)
    loss.backward()
    assert loss.isfinite()
    assert first.grad is not None
    assert first.grad.isfinite().all()


def test_autocast_computes_in_float32():
    first, second = (view.bfloat16() for view in views(3, 6, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = debiased_contrastive(first, second)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, debiased_contrastive(first.float(), second.float()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: debiased_contrastive(x, x, temperature=0), "temperature: expected a number above 0"),
        (lambda x: debiased_contrastive(x, x, prior=1), r"prior: expected a number in \[0, 1\)"),
        (lambda x: debiased_contrastive(x, x[:2]), r"expected shapes \(B, q\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(AvnasError, match=message):
        call(torch.ones(3, 4))
