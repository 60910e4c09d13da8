"""Cost of matching: the tables of EERCF."""

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import Matching, bytes_per_video, published_cost, x_clip_cost


@pytest.mark.parametrize(
    ("videos", "frames", "tokens", "thousands", "ratio"),
    [(1000, 12, 32, 15.90, 14), (2990, 12, 32, 5.66, 39), (1500, 12, 32, 10.77, 20), (4917, 64, 64, 17.21, 126)],
    ids=["msrvtt-1k", "msrvtt-3k", "vatex", "activitynet"],
)
def test_published_ratios(videos, frames, tokens, thousands, ratio):
    matching = Matching(512, frames, 49, videos=videos, depth=50)
    assert published_cost(matching) / 1000 == pytest.approx(thousands, abs=0.005)
    assert round(x_clip_cost(matching, tokens) / published_cost(matching)) == ratio


def test_recall_alone_costs_the_width_and_depth_stops_at_the_number_of_videos():
    assert published_cost(Matching(512, 12, 49)) == 512
    assert published_cost(Matching(8, 2, videos=5, depth=50)) == published_cost(Matching(8, 2, videos=5, depth=5))


def test_bytes_of_a_video():
    matching = Matching(512, 12, 49)
    assert bytes_per_video(matching) == 1024 + 12 * 1024 + 12 * 49 * 1024
    assert bytes_per_video(Matching(64, 25), code_bits=64, context=True) == 8 + 2 * 25 * 128
    assert bytes_per_video(Matching(64, 0), code_bits=12) == 2


def test_bad_numbers_are_refused():
    with pytest.raises(AvnasError, match="width=0"):
        Matching(0, 1)
