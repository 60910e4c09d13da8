import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import decomposition

from avhash_nas.errors import AvnasError
from avhash_nas.offline import PCA


@st.composite
def points(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    videos, features = draw(st.integers(2, 30)), draw(st.integers(1, 12))
    scale = random.uniform(0.1, 3, features)
    return (random.standard_normal((videos, features)) * scale + random.standard_normal(features)).astype(np.float32)


@given(x=points(), share=st.floats(0, 1))
def test_subspace_and_variances_equal_scikit_learn(x, share):
    dims = max(1, round(share * min(x.shape)))
    found = PCA.fit(x, dims)
    other = decomposition.PCA(dims, svd_solver="full").fit(x.astype(np.float64))
    assert np.allclose(found.components @ found.components.T, np.eye(dims), atol=1e-9)
    assert np.allclose(found.variances * len(x), other.explained_variance_ * (len(x) - 1), atol=1e-6)
    mine, theirs = found.apply(x), other.transform(x)
    assert np.allclose(mine @ mine.T, theirs @ theirs.T, atol=1e-3)  # the same points up to signs


@given(x=points(), seed=st.integers(0, 100))
def test_signs_do_not_depend_on_the_order_of_the_points(x, seed):
    shuffled = x[np.random.default_rng(seed).permutation(len(x))]
    first, second = PCA.fit(x, 1), PCA.fit(shuffled, 1)
    assert first.components[0, np.abs(first.components[0]).argmax()] > 0
    gap = np.diff(np.linalg.eigvalsh(np.cov(x.T, bias=True).reshape(x.shape[1], -1)))
    if not len(gap) or gap[-1] > 1e-3:  # else the direction itself is open
        assert np.allclose(first.components, second.components, atol=1e-5)


def test_all_components_keep_all_distances():
    x = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    reduced = PCA.fit(x, 6).apply(x)
    assert np.allclose(
        np.linalg.norm(x[:, None] - x, axis=2), np.linalg.norm(reduced[:, None] - reduced, axis=2), atol=1e-4
    )


def test_block_size_does_not_change_the_result(monkeypatch):
    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    whole = PCA.fit(x, 3)
    reduced = whole.apply(x)
    monkeypatch.setattr("avhash_nas.offline.pca._POINTS_AT_ONCE", 7)
    assert np.allclose(PCA.fit(x, 3).components, whole.components)
    assert np.allclose(whole.apply(x), reduced, atol=1e-6)


@pytest.mark.parametrize("dims", [0, 4])
def test_dims_out_of_range_are_refused(dims):
    with pytest.raises(AvnasError, match=f"dims={dims} must be from 1 to 3"):
        PCA.fit(np.zeros((5, 3)), dims)
