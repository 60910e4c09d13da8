from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.metrics.precision_recall import (
    add_hits_by_rank,
    curve_by_rank,
    precision_by_recall,
    precision_recall,
    precision_recall_by_radius,
)
from avhash_nas.metrics.ranking import group, rank
from reference import metrics_retrieval as oracle

BITS = 8
STEPS = 10


@st.composite
def one_query(draw, max_size):
    items = draw(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=max_size))
    distances, relevance = zip(*items)
    return distances, relevance, (np.array([distances], np.uint8), np.array([relevance], bool), BITS)


def close(found, exact):
    return found == pytest.approx([float(value) for value in exact], abs=1e-13)


def by_rank(ranking, items):
    sums = np.zeros((2, items))
    add_hits_by_rank(ranking, sums[0], sums[1])
    return curve_by_rank(sums[0], sums[1], 1)


@settings(deadline=None)
@given(query=one_query(max_size=6))
def test_expected_ties_are_the_mean_over_all_orders(query):
    distances, relevance, arrays = query
    rankings = list(oracle.all_rankings(distances, relevance))
    groups = group(*arrays)
    every_k = range(1, len(distances) + 1)
    precisions = [oracle.mean([oracle.precision(ranking, k) for ranking in rankings]) for k in every_k]
    recalls = [oracle.mean([oracle.recall(ranking, k) for ranking in rankings]) for k in every_k]
    found = np.array([precision_recall(groups, k) for k in every_k])[:, :, 0].T
    assert close(found[0], precisions)
    assert close(found[1], recalls)
    curve = by_rank(groups, len(distances))
    assert close(curve.precision.numpy(), precisions)
    assert close(curve.recall.numpy(), recalls)


@settings(deadline=None)
@given(query=one_query(max_size=6))
def test_expected_precision_by_recall_divides_by_the_mean_rank(query):
    distances, relevance, arrays = query
    rankings = list(oracle.all_rankings(distances, relevance))
    exact = []
    for level in (Fraction(step, STEPS) for step in range(STEPS + 1)):
        hits = oracle.hits_for_level(rankings[0], level)
        ranks = [Fraction(oracle.rank_of_hit(ranking, hits)) for ranking in rankings] if any(relevance) else []
        exact.append(hits / oracle.mean(ranks) if ranks else oracle.ZERO)
    assert close(precision_by_recall(group(*arrays), STEPS)[0], exact)


@settings(deadline=None)
@given(query=one_query(max_size=30), k=st.one_of(st.none(), st.integers(1, 40)))
def test_permuted_ties_match_the_definitions(query, k):
    distances, relevance, arrays = query
    ranking = [relevance[i] for i in sorted(range(len(distances)), key=lambda i: distances[i])]
    hits, _ = rank(*arrays)
    assert close(np.ravel(precision_recall(hits, k)), [oracle.precision(ranking, k), oracle.recall(ranking, k)])
    exact = []
    for level in (Fraction(step, STEPS) for step in range(STEPS + 1)):
        wanted = oracle.hits_for_level(ranking, level)
        exact.append(Fraction(wanted, oracle.rank_of_hit(ranking, wanted)) if any(ranking) else oracle.ZERO)
    assert close(precision_by_recall(hits, STEPS)[0], exact)
    curve = by_rank(hits, len(distances))
    assert curve.at.tolist() == list(range(1, len(distances) + 1))
    assert close(curve.precision.numpy(), [oracle.precision(ranking, rank) for rank in curve.at.tolist()])
    assert close(curve.recall.numpy(), [oracle.recall(ranking, rank) for rank in curve.at.tolist()])


@settings(deadline=None)
@given(query=one_query(max_size=30))
def test_radius_curve_is_hash_lookup(query):
    distances, relevance, arrays = query
    precision, recall = precision_recall_by_radius(group(*arrays))
    exact = [oracle.lookup(distances, relevance, radius) for radius in range(BITS + 1)]
    assert close(precision[0], [point[0] for point in exact])
    assert close(recall[0], [point[1] for point in exact])
