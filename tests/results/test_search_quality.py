"""Kendall's tau and regret of a search."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional import kendall_rank_corrcoef

from avhash_nas.results.search_quality import kendall_tau, search_quality, seed_agreement

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=20)


@given(PAIRS)
def test_tau_matches_torchmetrics_tau_b(pairs: list[tuple[int, int]]) -> None:
    one, other = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    ours = kendall_tau(one, other)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert math.isnan(ours)
    else:
        theirs = kendall_rank_corrcoef(torch.tensor(one), torch.tensor(other), variant="b")
        assert ours == pytest.approx(float(theirs), abs=1e-6)


@given(PAIRS)
def test_tau_depends_only_on_the_order(pairs: list[tuple[int, int]]) -> None:
    one, other = zip(*pairs)
    stretched = [math.exp(value) for value in one]
    assert kendall_tau(one, other) == pytest.approx(kendall_tau(stretched, other), nan_ok=True)
    assert kendall_tau(one, other) == pytest.approx(-kendall_tau([-value for value in one], other), nan_ok=True)


def test_quality_of_a_ranked_choice() -> None:
    alone = {"a": 0.5, "b": 0.7, "c": 0.6}
    quality = search_quality({"a": 0.1, "b": 0.3, "c": 0.2}, alone, ["a", "b", "c"], "c")
    assert (quality.tau, quality.count, quality.best) == (pytest.approx(1), 3, 0.7)
    assert quality.regret == pytest.approx(0.1)
    assert search_quality({"a": 0.3, "b": 0.1, "c": 0.2}, alone, ["a", "b", "c"], "b").regret == 0


def test_choice_outside_the_ranking_may_be_better_and_is_not_part_of_tau() -> None:
    alone = {"a": 0.5, "b": 0.7, "mine": 0.8}
    quality = search_quality({"a": 0.2, "b": 0.1, "mine": 0.9}, alone, ["a", "b"], "mine")
    assert (quality.tau, quality.count) == (pytest.approx(-1), 2)
    assert quality.regret == pytest.approx(-0.1)


def test_missing_scores_are_left_out() -> None:
    assert search_quality({}, {}, ["a", "b"], "a").regret is None
    without_supernet = search_quality({}, {"a": 0.5, "b": 0.7}, ["a", "b"], "a")
    assert (without_supernet.tau, without_supernet.count) == (None, 0)
    assert without_supernet.regret == pytest.approx(0.2)
    partly = search_quality({"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 0.4, "b": 0.5}, ["a", "b", "c"], "c")
    assert (partly.count, partly.chosen) == (2, None)


def test_seed_agreement_is_the_mean_tau() -> None:
    up, down = {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 3.0, "b": 2.0, "c": 1.0}
    assert seed_agreement([up, up]) == pytest.approx(1)
    assert seed_agreement([up, up, down]) == pytest.approx((1 - 1 - 1) / 3)
    assert seed_agreement([up]) is None
    assert seed_agreement([up, {"a": 1.0, "b": 1.0, "c": 1.0}]) is None
