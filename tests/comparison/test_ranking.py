"""Kendall's tau, regret, and which supernets can score which architectures."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional import kendall_rank_corrcoef

from avhash_nas.comparison.ranking import agreement, covers, draw, kendall_tau, quality
from avhash_nas.errors import AvnasError
from avhash_nas.space import Cell, SearchSpace, load_space

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=20)


@given(PAIRS)
def test_tau_is_torchmetrics_tau_b(pairs: list[tuple[int, int]]) -> None:
    one, other = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    ours = kendall_tau(one, other)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert math.isnan(ours)
    else:
        theirs = kendall_rank_corrcoef(torch.tensor(one), torch.tensor(other), variant="b")
        assert ours == pytest.approx(float(theirs), abs=1e-6)


@given(PAIRS)
def test_tau_needs_only_the_order(pairs: list[tuple[int, int]]) -> None:
    one, other = zip(*pairs)
    stretched = [math.exp(value) for value in one]
    assert kendall_tau(one, other) == pytest.approx(kendall_tau(stretched, other), nan_ok=True)
    assert kendall_tau(one, other) == pytest.approx(-kendall_tau([-value for value in one], other), nan_ok=True)


def test_quality_of_a_choice_among_the_ranked() -> None:
    alone = {"a": 0.5, "b": 0.7, "c": 0.6}
    found = quality({"a": 0.1, "b": 0.3, "c": 0.2}, alone, ["a", "b", "c"], "c")
    assert (found.tau, found.count, found.best) == (pytest.approx(1), 3, 0.7)
    assert found.regret == pytest.approx(0.1)
    assert quality({"a": 0.3, "b": 0.1, "c": 0.2}, alone, ["a", "b", "c"], "b").regret == 0


def test_a_choice_that_is_not_ranked_may_be_better_and_does_not_count_for_tau() -> None:
    alone = {"a": 0.5, "b": 0.7, "mine": 0.8}
    found = quality({"a": 0.2, "b": 0.1, "mine": 0.9}, alone, ["a", "b"], "mine")
    assert (found.tau, found.count) == (pytest.approx(-1), 2)
    assert found.regret == pytest.approx(-0.1)


def test_what_is_not_known_is_left_out() -> None:
    assert quality({}, {}, ["a", "b"], "a").regret is None
    without_supernet = quality({}, {"a": 0.5, "b": 0.7}, ["a", "b"], "a")
    assert (without_supernet.tau, without_supernet.count) == (None, 0)
    assert without_supernet.regret == pytest.approx(0.2)
    partly = quality({"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 0.4, "b": 0.5}, ["a", "b", "c"], "c")
    assert (partly.count, partly.chosen) == (2, None)


def test_seeds_agree_by_their_mean_tau() -> None:
    up, down = {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 3.0, "b": 2.0, "c": 1.0}
    assert agreement([up, up]) == pytest.approx(1)
    assert agreement([up, up, down]) == pytest.approx((1 - 1 - 1) / 3)
    assert agreement([up]) is None
    assert agreement([up, {"a": 1.0, "b": 1.0, "c": 1.0}]) is None


def test_the_ranked_architectures_are_distinct_and_the_seeds_own() -> None:
    space = SearchSpace((Cell("visual.U1", ("skip", "silu")), Cell("T", ("self_attention", "self_ssm"))))
    assert len(set(draw(space, 4, 0))) == 4
    full = load_space("full")
    assert draw(full, 20, 3) == draw(full, 20, 3)
    assert draw(full, 20, 3) != draw(full, 20, 4)
    with pytest.raises(AvnasError, match=r"ranking.architectures is 5, but ranking.space holds only 4"):
        draw(space, 5, 0)


def test_a_supernet_covers_a_part_of_its_own_space_alone() -> None:
    full, authors = load_space("full"), load_space("authors")
    assert covers(full, authors, "darts")
    assert not covers(load_space("visual"), authors, "visual")
    assert not covers(full, load_space("transformer"), "darts")  # without Up and Down: another network
    with pytest.raises(AvnasError, match=r"cell visual.U1 has layer_norm, which darts does not search"):
        covers(authors, full, "darts")
