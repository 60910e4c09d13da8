import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.objectives.masked_views import at_positions, masked_steps, masked_views


@given(
    videos=st.integers(1, 5),
    frames=st.integers(2, 30),
    share=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 99),
)
def test_each_view_has_each_time_step_visible_or_masked(videos, frames, share, seed):
    masked = 1 + int(share * (frames - 1))
    torch.manual_seed(seed)
    views = masked_views(videos, frames, (masked + 0.5) / frames)
    assert views.visible.shape == (2, videos, frames - masked)
    assert views.masked.shape == (2, videos, masked)
    both = torch.cat([views.visible, views.masked], dim=2).sort(dim=2).values
    assert torch.equal(both, torch.arange(frames).expand(2, videos, frames))
    for positions in views:
        assert (positions.diff(dim=2) > 0).all()
    for first, second in zip(*views.visible.tolist(), strict=True):
        shared = len(set(first) & set(second))
        assert shared == max(0, frames - 2 * masked)


def test_visible_time_steps_are_uniform_and_differ_between_videos():
    torch.manual_seed(0)
    views = masked_views(4000, 5, 0.4)
    shown = torch.nn.functional.one_hot(views.visible, 5).sum(dim=2).double().mean(dim=1)
    torch.testing.assert_close(shown, torch.full((2, 5), 0.6, dtype=torch.float64), atol=0.05, rtol=0)
    assert len({tuple(row) for row in views.visible[0].tolist()}) == 10  # of 5 choose 3


def test_views_depend_on_torchs_generator():
    torch.manual_seed(3)
    first = masked_views(6, 9, 0.5)
    torch.manual_seed(3)
    assert torch.equal(masked_views(6, 9, 0.5).visible, first.visible)
    assert not torch.equal(masked_views(6, 9, 0.5).visible, first.visible)


@pytest.mark.parametrize(("frames", "ratio"), [(1, 0.5), (2, 0.4), (4, 0.2), (3, 1.0)])
def test_empty_views_are_refused(frames, ratio):
    with pytest.raises(AvnasError, match=rf"objective.mask={ratio} hides \d of {frames} time steps"):
        masked_steps(frames, ratio)


def test_at_positions_selects_features():
    features = torch.arange(2 * 5).view(2, 5, 1) * torch.tensor([1, -1])
    positions = torch.tensor([[[0, 2], [1, 4]], [[3, 4], [0, 1]]])
    picked = at_positions(features, positions)
    assert picked[..., 0].tolist() == [[[0, 2], [6, 9]], [[3, 4], [5, 6]]]
    assert torch.equal(picked[..., 1], -picked[..., 0])
