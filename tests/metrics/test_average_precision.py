import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.metrics.average_precision import (
    NORMALIZATIONS,
    _harmonic_difference,
    average_precision,
    expected_average_precision,
)
from avhash_nas.metrics.ranking import group, rank
from reference import metrics_retrieval as oracle

BITS = 8


def one_query(distances, relevance):
    return np.array([distances], np.uint8), np.array([relevance], bool), BITS


ITEMS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6)
CUTOFFS = st.one_of(st.none(), st.integers(1, 8))


@settings(deadline=None)
@given(items=ITEMS, k=CUTOFFS)
def test_expected_ap_is_the_mean_over_all_orders_of_ties(items, k):
    distances, relevance = zip(*items)
    rankings = list(oracle.all_rankings(distances, relevance))
    found = expected_average_precision(group(*one_query(distances, relevance)), [k])[0]
    for name in NORMALIZATIONS:
        exact = oracle.mean([oracle.average_precision(ranking, k, name) for ranking in rankings])
        assert found[name][0] == pytest.approx(float(exact), abs=1e-14), name


@settings(deadline=None)
@given(items=st.lists(st.tuples(st.integers(0, BITS), st.booleans()), min_size=1, max_size=40), k=CUTOFFS)
def test_ap_matches_the_definition(items, k):
    distances, relevance = zip(*items)
    order = sorted(range(len(items)), key=lambda i: distances[i])  # stable: ties keep their columns' order
    ranking = [relevance[i] for i in order]
    found = average_precision(rank(*one_query(distances, relevance))[0], k)
    for name in NORMALIZATIONS:
        assert found[name][0] == pytest.approx(float(oracle.average_precision(ranking, k, name)), abs=1e-14), name


def test_normalizations_of_a_single_hit():
    distances = np.arange(200, dtype=np.uint8)[None]
    relevance = np.zeros((1, 200), bool)
    relevance[0, [0, *range(150, 169)]] = True  # 20 relevant items, one within 100
    found = average_precision(rank(distances, relevance, 200)[0], 100)
    assert {name: values.tolist() for name, values in found.items()} == {
        "retrieved": [1.0],
        "standard": [1 / 20],
        "k": [1 / 100],
    }


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**20), k=st.one_of(st.none(), st.integers(1, 120)))
def test_k_is_at_most_standard_is_at_most_retrieved(seed, k):
    random = np.random.default_rng(seed)
    distances, relevance = random.integers(0, 9, (5, 80)).astype(np.uint8), random.random((5, 80)) < random.random()
    hits, groups = rank(distances, relevance, BITS)
    for found in (average_precision(hits, k), expected_average_precision(groups, [k])[0]):
        assert (found["k"] <= found["standard"] + 1e-12).all()
        assert (found["standard"] <= found["retrieved"] + 1e-12).all()
        assert (found["retrieved"] <= 1 + 1e-12).all()


def test_expected_ap_matches_random_tie_breaking_in_a_large_split_group():
    """Groups too large to enumerate; the standard error of 4,000 draws is about 0.0013."""
    random = np.random.default_rng(0)
    distances = np.repeat(np.array([0, 1, 2], np.uint8), [5, 295, 700])[None]
    relevance = np.zeros((1, 1000), bool)
    relevance[0, random.choice(1000, 60, replace=False)] = True
    drawn = np.array([random.permutation(1000) for _ in range(4000)])
    hits, groups = rank(distances[0][drawn], relevance[0][drawn], BITS)
    for name, expected in expected_average_precision(group(distances, relevance, BITS), [50])[0].items():
        sample = average_precision(hits, 50)[name]
        assert abs(expected[0] - sample.mean()) < 4 * sample.std() / np.sqrt(len(sample)), name
    assert groups.items.sum() == drawn.size


@pytest.mark.parametrize("start", [0, 3, 60, 64, 1000, 10**6])
@pytest.mark.parametrize("places", [0, 1, 7, 5000])
def test_harmonic_differences_are_accurate(start, places):
    """The worst case is a short stretch in the table: the last place of H_64 is 6e-14 of 1 / 64."""
    exact = math.fsum(1 / (start + j) for j in range(1, places + 1))
    found = _harmonic_difference(np.array([start]), np.array([places]))[0]
    assert found == pytest.approx(exact, rel=1e-13, abs=0)
