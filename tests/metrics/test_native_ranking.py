"""The compiled ranking against the NumPy version, which is tested against tests/reference."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.kernels import ranking_native as module
from avhash_nas.kernels.compiled import SWITCHED_OFF, CompileError
from avhash_nas.metrics import evaluate, evaluation, hamming, pack
from avhash_nas.metrics.hamming import as_words
from avhash_nas.metrics.ranking import group, rank, rank_codes, relevance


@pytest.fixture(scope="module", autouse=True)
def native():
    with warnings.catch_warnings(record=True) as caught:
        found = module.native_ranking()
    if found is None:
        pytest.skip(f"no compiled ranking: {caught[0].message if caught else SWITCHED_OFF}")
    return found


def draw(seed, queries, items, bits, rate):
    random = np.random.default_rng(seed)
    signs = random.random((queries + items, bits)) < 0.5
    packed = pack(torch.from_numpy(signs))
    classes = random.random((queries + items, 3)) < rate
    return packed[:queries], packed[queries:], classes[:queries], classes[queries:].T, random


@given(
    seed=st.integers(0, 2**20),
    queries=st.integers(1, 5),
    items=st.integers(1, 70),
    bits=st.sampled_from([1, 3, 16, 64, 65, 300]),
    rate=st.sampled_from([0.0, 0.2, 1.0]),
    exclude=st.booleans(),
)
def test_ranks_and_counts_match_a_stable_sort(native, seed, queries, items, bits, rate, exclude):
    query_codes, codes, labels, members, random = draw(seed, queries, items, bits, rate)
    own = random.integers(-1, items, queries) if exclude else np.full(queries, -1)
    distances = hamming.hamming_distances(query_codes, codes).numpy().astype(np.uint16)
    there = np.flatnonzero(own >= 0)
    distances[there, own[there]] = bits + 1
    relevant = relevance(labels, members)
    relevant[there, own[there]] = False
    hits, groups = rank(distances, relevant, bits)
    sizes = members.sum(axis=1)
    found, counts = rank_codes(native, as_words(query_codes), as_words(codes), labels, members, sizes, own, bits)
    for name in ("queries", "ranks", "ordinals", "relevant", "ranked"):
        np.testing.assert_array_equal(getattr(found, name), getattr(hits, name))
    for expected in (groups, group(distances, relevant, bits)):
        np.testing.assert_array_equal(counts.items, expected.items)
        np.testing.assert_array_equal(counts.relevant, expected.relevant)


@pytest.mark.parametrize("bits", [8, 64, 130])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_distances_match_numpy(native, bits, dtype, monkeypatch):
    a, b, *_ = draw(0, 9, 33, bits, 0)
    found = np.empty((9, 33), dtype)
    native.distances(as_words(a), as_words(b), found)
    monkeypatch.setattr(hamming, "native_ranking", lambda: None)
    np.testing.assert_array_equal(found, hamming.word_distances(as_words(a), as_words(b), dtype))


@pytest.mark.parametrize("ties", ["permuted", "expected"])
def test_scores_match_without_the_library(ties, monkeypatch):
    queries, codes, *_, random = draw(1, 20, 300, 12, 0)
    labels = torch.from_numpy(random.random((320, 4)) < 0.3)
    arguments = (queries, labels[:20], codes, labels[20:])
    compiled = evaluate(*arguments, ties=ties, bits=12)
    for place in (evaluation, hamming):
        monkeypatch.setattr(place, "native_ranking", lambda: None)
    plain = evaluate(*arguments, ties=ties, bits=12)
    assert compiled.to_dict() == plain.to_dict()
    assert compiled.curves_to_dict() == plain.curves_to_dict()


def test_missing_library_warns_unless_disabled(monkeypatch):
    def fail(*_, **__):
        raise CompileError("no C++ compiler found")

    monkeypatch.setattr(module, "compile_library", fail)
    with pytest.warns(UserWarning, match="in NumPy.*: no C\\+\\+ compiler found"):
        assert module.native_ranking.__wrapped__() is None
    monkeypatch.undo()
    monkeypatch.setenv("AVNAS_NATIVE", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module.native_ranking.__wrapped__() is None


def test_mismatched_codes_are_rejected(native):
    two, one = np.zeros((2, 3), np.uint64), np.zeros((1, 4), np.uint64)
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(1, 4\)"):
        native.distances(two, one, np.empty((3, 4), np.uint8))
