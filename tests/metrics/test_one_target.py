"""Ranks of one target, against every order of tied items written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import OneTargetScores, text_to_video, video_to_text
from reference import metrics_one_target as reference

KS = (1, 2, 3, 10)


@st.composite
def problems(draw):
    """Scores of up to 6 captions and 5 videos, from few values, so that ties are common."""
    captions, videos = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    values = draw(st.lists(st.integers(0, 2), min_size=captions * videos, max_size=captions * videos))
    own = draw(st.lists(st.integers(0, videos - 1), min_size=captions, max_size=captions))
    return np.array(values, np.float64).reshape(captions, videos), np.array(own)


def compare(ranks, expected):
    np.testing.assert_allclose(ranks.ranks, [float(reference.mean_rank(orders)) for orders in expected])
    for k in KS:
        shares = [float(reference.share_within(orders, k)) for orders in expected]
        np.testing.assert_allclose(ranks.hits(k), shares, atol=1e-12)


@settings(max_examples=30)
@given(problems())
def test_expected_ranks_equal_the_mean_over_all_orders(problem):
    scores, own = problem
    compare(text_to_video(scores, own), reference.caption_rows(scores, own))
    compare(video_to_text(scores, own, "by_video"), reference.by_video(scores, own))
    compare(video_to_text(scores, own, "by_caption"), reference.by_caption(scores, own))


@settings(max_examples=20)
@given(problems(), st.integers(0, 5))
def test_permuted_ranks_are_those_of_one_order(problem, seed):
    scores, own = problem
    for make, expected in (
        (lambda **how: text_to_video(scores, own, **how), reference.caption_rows(scores, own)),
        (lambda **how: video_to_text(scores, own, "by_video", **how), reference.by_video(scores, own)),
        (lambda **how: video_to_text(scores, own, "by_caption", **how), reference.by_caption(scores, own)),
    ):
        ranks = make(ties="permuted", seed=seed).ranks
        assert all(rank in orders for rank, orders in zip(ranks, expected, strict=True))


def test_permuted_ranks_of_constant_scores_differ_between_seeds_and_average_to_the_expected_ones():
    scores, own = np.zeros((4, 9)), np.arange(4)
    drawn = np.array([text_to_video(scores, own, ties="permuted", seed=seed).ranks for seed in range(400)])
    assert len(np.unique(drawn)) == 9
    assert abs(drawn.mean() - 5) < 0.2


def test_constant_scores_give_chance_and_not_one():
    scores = OneTargetScores.of(text_to_video(np.ones((7, 20)), np.arange(7)), 20)
    assert scores.to_dict() == {
        **{"hit@1": pytest.approx(1 / 20), "hit@5": pytest.approx(5 / 20), "hit@10": pytest.approx(10 / 20)},
        **{"median_rank": 10.5, "mean_rank": 10.5, "queries": 7, "items": 20},
    }


def test_random_scores_give_chance_in_the_mean():
    random = np.random.default_rng(0)
    scores = OneTargetScores.of(text_to_video(random.standard_normal((2000, 40)), random.integers(0, 40, 2000)), 40)
    assert scores.hits[10] == pytest.approx(10 / 40, abs=0.04)
    assert scores.mean_rank == pytest.approx(41 / 2, abs=1)


def test_by_video_is_never_worse_than_by_caption_without_ties():
    random = np.random.default_rng(1)
    scores, own = random.standard_normal((60, 12)), np.repeat(np.arange(12), 5)
    assert (video_to_text(scores, own, "by_video").ranks <= video_to_text(scores, own, "by_caption").ranks).all()


def test_median_of_an_even_number_is_between_the_middle_two():
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    assert OneTargetScores.of(text_to_video(scores, np.array([0, 1, 1, 1])), 2).median_rank == 1.5


def test_bad_scores_are_refused():
    scores = np.zeros((3, 4))
    scores[1, 2] = np.nan
    with pytest.raises(AvnasError, match="row 1 has nan"):
        text_to_video(scores, np.arange(3))
    with pytest.raises(AvnasError, match="from 0 to 3"):
        text_to_video(np.zeros((1, 4)), np.array([4]))
    with pytest.raises(AvnasError, match="one row for each of 2 captions"):
        video_to_text(np.zeros((1, 4)), np.array([0, 1]), "by_video")
