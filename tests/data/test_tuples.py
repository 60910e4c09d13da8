import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.data import ClassBalanced, Shuffled, Tuples
from avhash_nas.errors import AvnasError


def following(videos: int, size: int):
    """Partners that identify their anchor: the next positions, shifted by a random number below 10."""

    def partners(positions: np.ndarray, random: np.random.Generator) -> np.ndarray:
        shift = random.integers(0, 10, (len(positions), size))
        return (positions[:, None] + 10 * np.arange(1, size + 1) + shift) % videos

    return partners


@settings(max_examples=40)
@given(videos=st.integers(2, 200), size=st.integers(1, 4), seed=st.integers(0, 2**40), number=st.integers(0, 3))
def test_each_anchor_is_followed_by_its_partners(videos, size, seed, number):
    labels = np.zeros((videos, 2), bool)
    base = Shuffled(16)
    sampling = Tuples(base, following(videos, size), size)
    count = sampling.batches_per_epoch(labels)
    assert count == base.batches_per_epoch(labels)
    plan = sampling.epoch(labels, seed, number)
    for index in reversed(range(count)):
        batch = plan(index)
        assert np.array_equal(batch, sampling.batch(labels, seed, number, index))
        assert batch.dtype == np.int64
        assert len(batch) <= sampling.batch_size
        tuples = batch.reshape(-1, 1 + size)
        assert np.array_equal(tuples[:, 0], base.batch(labels, seed, number, index))
        steps = (tuples[:, 1:] - tuples[:, :1] - 10 * np.arange(1, size + 1)) % videos
        assert (steps < 10).all()  # for fewer than 10 videos every step is


def test_size_counts_anchors_and_partners():
    assert Tuples(Shuffled(64), following(10, 4), 4).batch_size == 320
    assert Tuples(ClassBalanced(4, 8), following(10, 1), 1).batch_size == 64


def test_partners_change_with_seed_epoch_and_batch():
    drawn = []

    def note(positions: np.ndarray, random: np.random.Generator) -> np.ndarray:
        drawn.append(int(random.integers(2**62)))
        return positions[:, None]

    labels = np.zeros((20, 1), bool)
    sampling = Tuples(Shuffled(10), note, 1)
    for seed, epoch, index in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]:
        sampling.batch(labels, seed, epoch, index)
    assert len(set(drawn)) == 4


def test_partners_have_their_own_random_stream():
    """A base that draws in each batch must not see the numbers that its partners are drawn by."""
    labels = np.eye(6, dtype=bool).repeat(20, axis=0)
    base = ClassBalanced(2, 2, by="class")
    anchors = [base.batch(labels, 0, 0, index) for index in range(5)]
    greedy = Tuples(base, lambda positions, random: random.integers(0, 120, (len(positions), 3)), 3)
    assert all(
        np.array_equal(greedy.batch(labels, 0, 0, index).reshape(-1, 4)[:, 0], anchors[index]) for index in range(5)
    )


@pytest.mark.parametrize(
    ("partners", "reason"),
    [
        (lambda positions, _: positions, r"shape \(10,\) instead of \(10, 1\)"),
        (lambda positions, _: positions[:, None] + 5, "prepared for other videos than these 10"),
    ],
)
def test_invalid_partners_are_rejected(partners, reason):
    with pytest.raises(AvnasError, match=reason):
        Tuples(Shuffled(10), partners, 1).batch(np.zeros((10, 1), bool), 0, 0, 0)


def test_size_0_is_rejected():
    with pytest.raises(AvnasError, match="size=0 must be at least 1"):
        Tuples(Shuffled(), following(10, 1), 0)
