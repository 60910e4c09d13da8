from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import NORMALIZATIONS, evaluate, ids_from_names
from avhash_nas.metrics.ties import tie_order
from avhash_nas.retrieval import AsymmetricRerank, FrameRerank, Rerank, ValueRerank, reranked_scores
from reference import metrics_retrieval as metrics
from reference import retrieval_rerank as oracle
from retrieval.made import code_set

KS = (1, 4, 10, 50, None)
SEEDS = st.integers(0, 2**20)


class Constant(Rerank):
    """A rerank with equal scores."""

    query_parts = ()

    def scores(self, query, candidates):
        return np.zeros(len(candidates), np.float32)


def problem(seed):
    return code_set(seed, 4, bits=5, prefix="query"), code_set(seed + 1, 23, bits=5)


def of_hamming(queries, database, **options):
    """`evaluate` on the same codes."""
    sides = [torch.from_numpy(part) for codes in (queries, database) for part in (codes.packed, codes.labels)]
    identities = {"query_ids": ids_from_names(queries.ids), "database_ids": ids_from_names(database.ids)}
    return evaluate(*sides, bits=queries.bits, ks=KS, **identities, **options)


def ranking(query, query_signs, database, depth, seed):
    """Relevance by rank, from plain sorting and asymmetric rerank."""
    signs = np.where(database.values >= 0, 1, -1).tolist()
    order = tie_order(ids_from_names(database.ids).numpy(), seed).tolist()
    order.sort(key=lambda item: metrics.hamming(query_signs, signs[item]))
    scores = [oracle.asymmetric_similarity(query.values[0].tolist(), signs[item]) for item in order]
    return [bool((query.labels[0] & database.labels[order[place]]).any()) for place in oracle.order(scores, depth)]


@settings(max_examples=30)
@given(seed=SEEDS, tie_seed=st.integers(0, 9), depth=st.sampled_from([1, 6, 23, 40]))
def test_all_measures_match_the_loop_oracle(seed, tie_seed, depth):
    queries, database = problem(seed)
    found = reranked_scores(queries, database, AsymmetricRerank(depth), ks=KS, seed=tie_seed)
    signs = np.where(queries.values >= 0, 1, -1).tolist()
    rankings = [ranking(queries.take([row]), signs[row], database, depth, tie_seed) for row in range(len(queries))]
    for k in KS:
        for name in NORMALIZATIONS:
            exact = metrics.mean([metrics.average_precision(each, k, name) for each in rankings])
            assert found.average_precision[k][name] == pytest.approx(float(exact), abs=1e-13)
        assert found.precision[k] == near(metrics.mean([metrics.precision(each, k) for each in rankings]))
        assert found.recall[k] == near(metrics.mean([metrics.recall(each, k) for each in rankings]))


def near(exact: Fraction):
    return pytest.approx(float(exact), abs=1e-13)


@settings(max_examples=20)
@given(seed=SEEDS, depth=st.integers(1, 30))
def test_equal_scores_keep_the_ranking(seed, depth):
    queries, database = problem(seed)
    plain = of_hamming(queries, database)
    for rerank in (None, Constant(depth)):
        found = reranked_scores(queries, database, rerank, ks=KS)
        assert found.to_dict() == plain.to_dict()
        assert found.curves_to_dict() == plain.curves_to_dict()


@pytest.mark.parametrize("way", [AsymmetricRerank, FrameRerank, ValueRerank])
@settings(max_examples=10)
@given(seed=SEEDS)
def test_rerank_changes_ranks_only_within_its_depth(way, seed):
    queries, database = problem(seed)
    plain, found = of_hamming(queries, database), reranked_scores(queries, database, way(depth=10), ks=KS)
    for k in (10, 50, None):
        assert found.precision[k] == plain.precision[k]
        assert found.recall[k] == plain.recall[k]
    assert found.by_rank.precision[9:].tolist() == pytest.approx(plain.by_rank.precision[9:].tolist(), abs=1e-13)
    assert found.by_radius.to_dict() == plain.by_radius.to_dict()


@settings(max_examples=10)
@given(seed=SEEDS)
def test_database_order_does_not_matter(seed):
    queries, database = problem(seed)
    turned = database.take(np.random.default_rng(seed).permutation(len(database)))
    first, second = (reranked_scores(queries, each, AsymmetricRerank(8), ks=KS) for each in (database, turned))
    assert first.to_dict() == second.to_dict()


def test_perfect_scores_give_a_perfect_ranking():
    """Scores from the labels: relevant videos within the depth come first."""
    queries, database = problem(3)

    class Knows(Constant):
        def scores(self, query, candidates):
            return (query.labels & candidates.labels).any(axis=1).astype(np.float32)

    found = reranked_scores(queries, database, Knows(depth=len(database)), ks=(None,))
    assert found.average_precision[None]["standard"] == 1


def test_mismatched_arguments_are_rejected():
    queries, database = problem(0)
    with pytest.raises(AvnasError, match="query codes have no labels"):
        reranked_scores(replace(queries, labels=None, class_names=()), database, None)
    with pytest.raises(AvnasError, match="query and database codes have different classes"):
        reranked_scores(replace(queries, class_names=("a", "b", "c", "d")), database, None)
    with pytest.raises(AvnasError, match="stored without frames"):
        reranked_scores(queries, replace(database, frames=None), FrameRerank())


def test_expected_ties_cannot_be_reranked():
    queries, database = problem(0)
    with pytest.raises(AvnasError, match="needs ties='permuted', got 'expected'"):
        of_hamming(queries, database, ties="expected", reorder=lambda query, nearest: nearest[:0])
