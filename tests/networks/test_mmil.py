import pytest
import torch

from avhash_nas.networks import MMILHead
from reference.parsing_equations import mmil


def values(seed=0, shape=(2, 2, 5, 3, 4)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2


@pytest.mark.parametrize("normalized", [False, True])
def test_pooling_equals_loops(normalized):
    given = values()
    logits, of_modality, of_video = MMILHead(3, 4, normalized=normalized).pool(given)
    expected = mmil(given, normalized)
    assert torch.equal(logits, given[..., 0, :])
    torch.testing.assert_close((of_modality, of_video), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("normalized", [False, True])
def test_gradients(normalized):
    head = MMILHead(3, 4, normalized=normalized)
    assert torch.autograd.gradcheck(lambda x: head.pool(x)[1:], values(1, (1, 2, 3, 3, 2)).requires_grad_())


def test_video_probability_is_no_mean_and_can_exceed_one():
    """Audio attends to step 0 and visual to step 1, and each is preferred there: all weights are about 1."""
    given = torch.zeros(1, 2, 2, 3, 1)
    given[0, :, :, 0] = 5.0  # p = 0.993 everywhere
    given[0, 0, 0, 1:] = given[0, 1, 1, 1:] = 20.0
    assert MMILHead(3, 1).pool(given)[2].item() == pytest.approx(2 * 0.9933, abs=1e-3)
    assert MMILHead(3, 1, normalized=True).pool(given)[2].item() == pytest.approx(0.9933, abs=1e-3)


def test_bounds_by_the_largest_segment():
    given = values(3, (50, 2, 6, 3, 5))
    largest = given[..., 0, :].sigmoid().amax(dim=(1, 2))
    assert (MMILHead(3, 5).pool(given)[2] <= 2 * largest).all()
    assert (MMILHead(3, 5, normalized=True).pool(given)[2] <= largest + 1e-12).all()


def test_head_maps_each_segment_by_itself_with_one_set_of_weights():
    head = MMILHead(3, 4).double()
    features = torch.randn(2, 2, 5, 3, dtype=torch.float64)
    out = head(features)
    assert out.shape == (2, 2, 5, 3, 4)
    torch.testing.assert_close(out.flip(1), head(features.flip(1)))
    torch.testing.assert_close(out[1, 0, 2, 1], head.time_attention(features[1, 0, 2]))


def test_bfloat16_pools_in_float32():
    head = MMILHead(3, 4)
    features = torch.randn(2, 2, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        made = head(features)
        assert made.dtype == torch.bfloat16
        assert head.pool(made)[2].dtype == torch.float32
