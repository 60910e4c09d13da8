import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError, MissingExtraError
from avhash_nas.offline import k_means


@st.composite
def points(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    whole = random.integers(0, draw(st.integers(2, 20)), (draw(st.integers(1, 40)), draw(st.integers(1, 4))))
    return whole.astype(np.float32)  # small whole numbers: many points coincide


@settings(max_examples=60)
@given(x=points(), share=st.floats(0, 1), seed=st.integers(0, 2**40), spherical=st.booleans())
def test_clusters_are_not_empty_and_points_have_their_nearest_center(x, share, seed, spherical):
    if spherical:
        x = x + 1
    compared = x / np.linalg.norm(x, axis=1, keepdims=True) if spherical else x
    distinct = len(np.unique(compared.round(5), axis=0))
    clusters = max(1, round(share * distinct))
    found = k_means(x, clusters, seed, iterations=5, restarts=2, spherical=spherical)
    distances = ((compared[:, None] - found.centers) ** 2).sum(2)
    own = distances[np.arange(len(x)), found.assignment]
    assert set(found.assignment.tolist()) == set(range(clusters))
    assert np.allclose(own, distances.min(1), atol=1e-3)
    assert np.isclose(found.inertia, own.sum(), rtol=1e-3, atol=1e-2)
    if spherical:
        assert np.allclose(np.linalg.norm(found.centers, axis=1), 1, atol=1e-5)


def test_planted_clusters_are_found():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 300)
    x = 10 * random.standard_normal((3, 5))[truth] + 0.1 * random.standard_normal((300, 5))
    found = k_means(x, 3, 0).assignment
    assert len(set(zip(truth.tolist(), found.tolist(), strict=True))) == 3


def test_result_depends_on_the_seed_only():
    x = np.random.default_rng(0).standard_normal((200, 4))
    first, again, other = (k_means(x, 20, seed, iterations=3, restarts=1) for seed in (1, 1, 2))
    assert np.array_equal(first.centers, again.centers)
    assert np.array_equal(first.assignment, again.assignment)
    assert not np.array_equal(first.centers, other.centers)


def test_more_starts_are_no_worse():
    x = np.random.default_rng(0).standard_normal((200, 4))
    assert k_means(x, 20, 1, restarts=8).inertia < k_means(x, 20, 1, iterations=1, restarts=1).inertia


@pytest.mark.parametrize("clusters", [0, 6])
def test_clusters_out_of_range_are_refused(clusters):
    with pytest.raises(AvnasError, match=f"clusters={clusters} must be from 1 to 5"):
        k_means(np.zeros((5, 2)), clusters, 0)


def test_too_few_distinct_points_are_refused():
    x = np.repeat(np.eye(3), 4, axis=0)
    assert k_means(x, 3, 0).inertia == pytest.approx(0, abs=1e-5)
    with pytest.raises(AvnasError, match="clusters=4, but only 3 of the points are distinct"):
        k_means(x, 4, 0)


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(AvnasError, match="not finite"):
        k_means(np.array([[0.0], [np.nan]]), 1, 0)


def test_without_faiss_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"k-means needs faiss: pip install 'avhash-nas\[baselines\]'"):
        k_means(np.zeros((5, 2)), 2, 0)
