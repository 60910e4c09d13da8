import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from avhash_nas.errors import AvnasError
from avhash_nas.offline import hash_centers, semantic_centers, separation_bound


def families(members: int, count: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Centers of classes that belong to families, and the family of each."""
    random = np.random.default_rng(seed)
    owner = np.arange(members * count) % count
    return random.standard_normal((count, 24))[owner] + 0.5 * random.standard_normal((len(owner), 24)), owner


def distances(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] != codes).sum(2)


@settings(max_examples=25)
@given(st.data())
def test_centers_keep_the_bound(data):
    bits = data.draw(st.sampled_from([12, 16, 24, 32, 33]))
    centers = data.draw(st.integers(2, 40))
    seed = data.draw(st.integers(0, 1000))
    semantic = np.random.default_rng(seed).standard_normal((centers, data.draw(st.integers(1, 6))))
    codes = hash_centers(semantic, bits, seed, sweeps=2)
    assert codes.shape == (centers, bits)
    assert set(np.unique(codes)) <= {-1, 1}
    assert distances(codes)[~np.eye(centers, dtype=bool)].min() >= separation_bound(bits, centers)


@pytest.mark.parametrize("bits", [16, 32])
def test_450_centers_keep_the_bound(bits):
    semantic = np.random.default_rng(0).standard_normal((450, 20))
    codes = hash_centers(semantic, bits, 0, sweeps=1)
    assert distances(codes)[~np.eye(450, dtype=bool)].min() >= separation_bound(bits, 450)


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_distances_follow_the_order_of_the_clusters(bits):
    semantic, family = families(6)
    codes = hash_centers(semantic, bits, 0, sweeps=4)
    directions = semantic / np.linalg.norm(semantic, axis=1, keepdims=True)
    pairs = np.triu_indices(len(codes), 1)
    cosines = (directions @ directions.T)[pairs]
    dealt_at_random = np.random.default_rng(0).permutation(codes)
    assert spearmanr(cosines, -distances(codes)[pairs])[0] > 0.6
    assert abs(spearmanr(cosines, -distances(dealt_at_random)[pairs])[0]) < 0.2
    related = (family[:, None] == family)[pairs]
    assert distances(codes)[pairs][related].max() < distances(codes)[pairs][~related].mean()


def test_result_depends_on_the_arguments_only():
    semantic, _ = families(4)
    first, again, other = (hash_centers(semantic, 20, seed, sweeps=2) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(hash_centers(8 * semantic, 20, 0, sweeps=2), first)


def test_larger_separation():
    semantic, _ = families(4)
    assert separation_bound(32, 24) < 14
    codes = hash_centers(semantic, 32, 0, separation=14, sweeps=2)
    assert distances(codes)[~np.eye(24, dtype=bool)].min() >= 14


@pytest.mark.parametrize("row", [np.zeros(3), np.full(3, np.nan)])
def test_centers_without_direction_are_refused(row):
    with pytest.raises(AvnasError, match="no direction"):
        hash_centers(np.stack([np.ones(3), -np.ones(3), row]), 16, 0)


def test_labels_and_centers_share_one_clustering():
    random = np.random.default_rng(0)
    means, family = families(2, count=3)
    truth = random.integers(0, 6, 400)
    pooled = (20 * means[truth] + random.standard_normal((400, 24))).astype(np.float32)
    made = semantic_centers(pooled, 16, 6, 0)
    assert made.centers.shape == (6, 16)
    owners = [np.bincount(truth[made.assignment == cluster], minlength=6).argmax() for cluster in range(6)]
    purity = np.mean(truth == np.array(owners)[made.assignment])
    assert purity > 0.6  # 1 / 6 by chance
    own = made.centers[made.assignment]
    related = family[truth][:, None] == family[truth]
    assert distances(own)[related].mean() + 2 < distances(own)[~related].mean()
    again = semantic_centers(pooled, 16, 6, 0)
    assert np.array_equal(made.centers, again.centers)
    assert np.array_equal(made.assignment, again.assignment)
