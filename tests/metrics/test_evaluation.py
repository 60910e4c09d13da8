import json
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import NORMALIZATIONS, evaluate, pack
from avhash_nas.metrics.ties import tie_order
from reference import metrics_retrieval as oracle

KS = (1, 3, 10, 50, None)


class Problem:
    """A random multi-label retrieval problem with few bits, hence many ties."""

    def __init__(self, seed, queries=4, items=23, bits=5, classes=3, rate=0.3):
        generator = torch.Generator().manual_seed(seed)
        self.bits = bits
        self.query_signs = torch.randint(0, 2, (queries, bits), generator=generator).bool()
        self.signs = torch.randint(0, 2, (items, bits), generator=generator).bool()
        self.query_labels = torch.rand(queries, classes, generator=generator) < rate
        self.labels = torch.rand(items, classes, generator=generator) < rate
        self.ids = torch.randperm(1000, generator=generator)[:items]
        self.query_ids = torch.cat([self.ids[: queries // 2], torch.arange(2000, 2000 + queries - queries // 2)])

    def evaluate(self, order=None, **options):
        order = torch.arange(len(self.ids)) if order is None else order
        given = {"ks": KS, "query_ids": self.query_ids, "database_ids": self.ids[order], "bits": self.bits} | options
        codes, queries = pack(self.signs[order]), pack(self.query_signs)
        return evaluate(queries, self.query_labels, codes, self.labels[order], **given)

    def rankings(self, seed, exclude_self):
        """Relevance by rank of each query, from plain sorting."""
        order = tie_order(self.ids.numpy(), seed).tolist()
        for query, labels, own in zip(self.query_signs.tolist(), self.query_labels, self.query_ids, strict=True):
            items = [i for i in order if not (exclude_self and self.ids[i] == own)]
            items.sort(key=lambda i: oracle.hamming(query, self.signs[i].tolist()))
            yield [bool((labels & self.labels[i]).any()) for i in items]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**20), tie_seed=st.integers(0, 9), exclude_self=st.booleans())
def test_all_measures_match_the_loop_oracle(seed, tie_seed, exclude_self):
    problem = Problem(seed)
    found = problem.evaluate(seed=tie_seed, exclude_self=exclude_self)
    rankings = list(problem.rankings(tie_seed, exclude_self))
    for k in KS:
        for name in NORMALIZATIONS:
            exact = oracle.mean([oracle.average_precision(ranking, k, name) for ranking in rankings])
            assert found.average_precision[k][name] == pytest.approx(float(exact), abs=1e-13)
        exact = oracle.mean([oracle.precision(ranking, k) for ranking in rankings])
        assert found.precision[k] == pytest.approx(float(exact), abs=1e-13)
        exact = oracle.mean([oracle.recall(ranking, k) for ranking in rankings])
        assert found.recall[k] == pytest.approx(float(exact), abs=1e-13)
    assert found.queries_without_relevant == sum(not any(ranking) for ranking in rankings)
    for step, precision in enumerate(found.by_recall.precision.tolist()):
        wanted = [oracle.hits_for_level(ranking, Fraction(step, 20)) for ranking in rankings]
        exact = [
            Fraction(hits, oracle.rank_of_hit(ranking, hits)) if any(ranking) else oracle.ZERO
            for hits, ranking in zip(wanted, rankings, strict=True)
        ]
        assert precision == pytest.approx(float(oracle.mean(exact)), abs=1e-13)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**20), exclude_self=st.booleans(), depth=st.integers(0, 30), memory=st.sampled_from([1, 2**28])
)
def test_reorder_changes_the_first_ranks(seed, exclude_self, depth, memory):
    problem = Problem(seed)

    def turned_round(query, nearest):
        signs = problem.signs[torch.from_numpy(nearest)]
        away = (signs != problem.query_signs[query]).sum(dim=1).tolist()
        assert away == sorted(away)
        assert len(set(nearest.tolist())) == len(nearest)
        assert not (exclude_self and problem.query_ids[query] in problem.ids[torch.from_numpy(nearest)])
        return np.arange(len(nearest))[:depth][::-1]

    found = problem.evaluate(exclude_self=exclude_self, reorder=turned_round, memory=memory)
    rankings = [[*each[:depth][::-1], *each[depth:]] for each in problem.rankings(0, exclude_self)]
    for k in KS:
        for name in NORMALIZATIONS:
            exact = oracle.mean([oracle.average_precision(ranking, k, name) for ranking in rankings])
            assert found.average_precision[k][name] == pytest.approx(float(exact), abs=1e-13)
        exact = oracle.mean([oracle.precision(ranking, k) for ranking in rankings])
        assert found.precision[k] == pytest.approx(float(exact), abs=1e-13)
    plain = problem.evaluate(exclude_self=exclude_self)
    torch.testing.assert_close(found.by_radius.precision, plain.by_radius.precision)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**20), ties=st.sampled_from(["permuted", "expected"]), exclude_self=st.booleans())
def test_database_order_does_not_matter(seed, ties, exclude_self):
    problem = Problem(seed)
    order = torch.randperm(len(problem.ids), generator=torch.Generator().manual_seed(seed))
    options = {"ties": ties, "exclude_self": exclude_self}
    first, second = problem.evaluate(**options), problem.evaluate(order, **options)
    assert first.to_dict() == second.to_dict()
    assert first.curves_to_dict() == second.curves_to_dict()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**20), ties=st.sampled_from(["permuted", "expected"]))
def test_memory_and_threads_do_not_change_the_scores(seed, ties):
    problem = Problem(seed, queries=9)
    whole, piecewise = problem.evaluate(ties=ties), problem.evaluate(ties=ties, memory=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        shared = problem.evaluate(ties=ties, memory=1)
    finally:
        torch.set_num_threads(threads)
    for other in (piecewise, shared):
        for k in KS:
            assert other.average_precision[k] == pytest.approx(whole.average_precision[k], abs=1e-13)
        for curve in ("by_rank", "by_recall", "by_radius"):
            torch.testing.assert_close(getattr(other, curve).precision, getattr(whole, curve).precision)
            torch.testing.assert_close(getattr(other, curve).recall, getattr(whole, curve).recall)


def test_expected_is_the_mean_of_permuted_over_seeds():
    """400 seeds; 5 standard errors."""
    problem = Problem(1, queries=6, items=30, bits=3)
    draws = [problem.evaluate(seed=seed, ks=(7,)).average_precision[7] for seed in range(400)]
    for name, expected in problem.evaluate(ties="expected", ks=(7,)).average_precision[7].items():
        sample = torch.tensor([draw[name] for draw in draws], dtype=torch.float64)
        assert abs(sample.mean() - expected) < 5 * sample.std() / len(draws) ** 0.5, name


def test_seeds_break_ties_differently():
    problem = Problem(3, items=60, bits=2)
    assert len({problem.evaluate(seed=seed).average_precision[10]["standard"] for seed in range(5)}) > 1


def test_both_tie_rules_agree_without_ties():
    signs = torch.tril(torch.ones(9, 8), diagonal=-1).bool()  # distances 0..8 from the first
    labels = torch.rand(9, 2, generator=torch.Generator().manual_seed(0)) < 0.5
    both = [
        evaluate(pack(signs[:1]), torch.tensor([[True, False]]), pack(signs), labels, ks=KS, ties=ties).to_dict()
        for ties in ("permuted", "expected")
    ]
    for name, value in both[0].items():
        assert name == "ties" or value == pytest.approx(both[1][name])


def test_exclude_self_removes_the_query_from_its_ranking():
    labels = torch.eye(4, dtype=torch.bool)  # nobody shares a label with another
    codes, ids = torch.arange(4, dtype=torch.uint8)[:, None], torch.arange(4)
    options = {"ks": (1, None), "query_ids": ids, "database_ids": ids}
    kept = evaluate(codes, labels, codes, labels, **options)
    assert kept.average_precision[1]["standard"] == 1
    assert (kept.queries_in_database, kept.exclude_self) == (4, False)
    left_out = evaluate(codes, labels, codes, labels, exclude_self=True, **options)
    assert (left_out.queries_in_database, left_out.exclude_self) == (4, True)
    assert left_out.average_precision[1]["standard"] == 0
    assert left_out.queries_without_relevant == 4


def test_exclude_self_on_a_database_of_one():
    code, label, index = torch.zeros(1, 1, dtype=torch.uint8), torch.ones(1, 1, dtype=torch.bool), torch.tensor([7])
    for ties in ("permuted", "expected"):
        found = evaluate(
            code, label, code, label, ks=KS, ties=ties, query_ids=index, database_ids=index, exclude_self=True
        )
        assert set(found.precision.values()) == set(found.recall.values()) == {0.0}
        assert found.by_radius.precision.tolist() == [0.0] * 9


def test_items_without_labels_are_ranked_and_relevant_to_nobody():
    labels, codes = torch.tensor([[True], [False]]), torch.zeros(2, 1, dtype=torch.uint8)
    for labelled, expected in ((labels, 1), (labels[:1].expand(2, 1), 0)):
        found = evaluate(codes[:1], labels[:1], codes, labelled, ks=(None,), ties="expected")
        assert (found.unlabeled, found.precision[None]) == (expected, 1 - expected / 2)
        assert found.average_precision[None]["standard"] == pytest.approx((1 + 1 / 2) / 2 if expected else 1)


def test_queries_without_labels_score_zero():
    labels = torch.tensor([[True], [False]])
    codes = torch.zeros(2, 1, dtype=torch.uint8)
    found = evaluate(codes, labels, codes[:1], labels[:1], ks=(1,))
    assert found.average_precision[1] == {"retrieved": 0.5, "standard": 0.5, "k": 0.5}
    assert (found.queries, found.queries_without_relevant) == (2, 1)


def test_k_above_the_database_size():
    labels, codes = torch.ones(2, 1, dtype=torch.bool), torch.zeros(2, 1, dtype=torch.uint8)
    for ties in ("permuted", "expected"):
        found = evaluate(codes, labels, codes, labels, ks=(8,), ties=ties)
        assert found.average_precision[8] == {"retrieved": 1.0, "standard": 1.0, "k": 2 / 8}
        assert (found.precision[8], found.recall[8]) == (2 / 8, 1.0)


@pytest.mark.parametrize("k", [1023, 1024, 2048, 2999])
def test_large_k_is_not_capped(k):
    """Searches by FAISS on a GPU have stopped at 1,023 or 2,048 answers, and their scores with them."""
    codes = torch.zeros(3000, 1, dtype=torch.uint8)
    found = evaluate(codes[:2], torch.ones(2, 1).bool(), codes, torch.ones(3000, 1).bool(), ks=(k,))
    assert found.average_precision[k] == pytest.approx({"retrieved": 1, "standard": 1, "k": 1})
    assert (found.precision[k], found.recall[k]) == pytest.approx((1, k / 3000))


@pytest.mark.parametrize("bits", [64, 127, 260, 600])
def test_long_and_short_codes_agree(bits):
    """Scaled distances of 8-bit codes give the same rankings and scores in wider integer types."""
    generator = torch.Generator().manual_seed(5)
    short = torch.randint(0, 2, (30, 8), generator=generator).bool()
    labels = torch.rand(30, 3, generator=generator) < 0.4
    stretched = short.repeat_interleave(bits // 8, dim=1)
    padded = torch.cat([stretched, torch.zeros(30, bits - stretched.shape[1], dtype=torch.bool)], dim=1)
    expected = evaluate(pack(short), labels, pack(short), labels, ks=KS)
    found = evaluate(pack(padded), labels, pack(padded), labels, ks=KS, bits=bits)
    assert found.to_dict() == expected.to_dict()
    assert found.by_radius.precision[bits // 8].item() == expected.by_radius.precision[1].item()
    assert len(found.by_radius.at) == bits + 1


@pytest.mark.parametrize(("ties", "rate", "values"), [("permuted", 1.0, 256), ("expected", 0.5, 1)])
def test_working_memory_is_bounded(ties, rate, values):
    """All pairs are hits, or K splits one group of all items; excludes inputs and sums over ranks."""
    items, memory = 20_000, 2**24
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, values, (items, 8), dtype=torch.uint8, generator=generator)
    labels = torch.rand(items, 1, generator=generator) < rate
    tracemalloc.start()
    try:
        evaluate(codes[:40], labels[:40], codes, labels, ks=(100, 10_000), ties=ties, memory=memory)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < memory + 100 * items


def test_scores_to_dict():
    found = Problem(0).evaluate(ks=(5, None))
    scores = json.loads(json.dumps(found.to_dict()))
    assert set(scores["map@5"]) == set(scores["map@all"]) == {"retrieved", "standard", "k"}
    assert {"precision@5", "recall@all", "queries_without_relevant", "ties"} <= set(scores)
    curves = json.loads(json.dumps(found.curves_to_dict()))
    assert [len(curves[name]["precision"]) for name in ("by_rank", "by_recall", "by_radius")] == [23, 21, 6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": (5, 0)}, "ks: expected whole numbers of at least 1, or None .* got 0"),
        ({"ks": (4.5,)}, "ks: expected whole numbers of at least 1, or None .* got 4.5"),
        ({"ties": "random"}, "ties: expected one of permuted, expected, got 'random'"),
        ({"memory": 0}, "memory: .* above 0, got 0"),
        ({"bits": 9}, "bits: codes of 1 bytes hold 1 to 8 bits, got 9"),
        ({"bits": 3}, "bits: some codes have bits set past the first 3"),
        ({"database_ids": torch.zeros(23, dtype=torch.int64)}, "database_ids: an id occurs twice"),
        ({"database_ids": torch.zeros(22, dtype=torch.int64)}, r"database_ids: expected int64 of shape \(23,\)"),
        ({"query_ids": torch.zeros(4)}, r"query_ids: expected int64 of shape \(4,\), got torch.float32"),
        ({"query_ids": None, "exclude_self": True}, "exclude_self: needs query_ids and database_ids"),
    ],
)
def test_invalid_options_are_reported(change, message):
    with pytest.raises(AvnasError, match=message):
        Problem(0).evaluate(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: torch.zeros(2, 8)}, "query_codes: expected packed codes"),
        (
            {0: torch.zeros(0, 1, dtype=torch.uint8), 1: torch.zeros(0, 2, dtype=torch.bool)},
            "query_codes: empty",
        ),
        (
            {2: torch.zeros(0, 1, dtype=torch.uint8), 3: torch.zeros(0, 2, dtype=torch.bool)},
            "database_codes: empty",
        ),
        ({2: torch.zeros(3, 2, dtype=torch.uint8)}, "query_codes have 1 bytes, database_codes 2"),
        ({1: torch.zeros(2, 2)}, r"query_labels: expected bool of shape \(2, C\), got torch.float32"),
        ({3: torch.zeros(4, 2, dtype=torch.bool)}, r"database_labels: expected bool of shape \(3, C\)"),
        ({3: torch.zeros(3, 5, dtype=torch.bool)}, "query_labels have 2 classes, database_labels 5"),
    ],
)
def test_invalid_tensors_are_reported(change, message):
    good = [
        torch.zeros(2, 1, dtype=torch.uint8),
        torch.zeros(2, 2, dtype=torch.bool),
        torch.zeros(3, 1, dtype=torch.uint8),
        torch.zeros(3, 2, dtype=torch.bool),
    ]
    with pytest.raises(AvnasError, match=message):
        evaluate(*[change.get(place, tensor) for place, tensor in enumerate(good)])
