import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.data import Shuffled
from avhash_nas.errors import AvnasError, DataError


def epoch(sampling: Shuffled, videos: int, seed: int = 0, number: int = 0) -> list[np.ndarray]:
    labels = np.zeros((videos, 3), bool)
    return [sampling.batch(labels, seed, number, index) for index in range(sampling.batches_per_epoch(labels))]


@given(videos=st.integers(2, 300), size=st.integers(2, 140), seed=st.integers(0, 2**40), number=st.integers(0, 5))
def test_every_video_occurs_once_and_no_batch_has_a_single_video(videos, size, seed, number):
    batches = epoch(Shuffled(size), videos, seed, number)
    assert sorted(np.concatenate(batches).tolist()) == list(range(videos))
    lengths = [len(batch) for batch in batches]
    assert min(lengths) >= 2
    assert max(lengths) <= (3 if size == 2 else size)
    assert max(lengths) - min(lengths) <= 1
    assert len(batches) == min(-(-videos // size), videos // 2)


def test_labels_are_never_read():
    random = np.random.default_rng(0)
    labels = [random.random((50, 4)) < share for share in (0, 0.3, 1)]
    plans = [np.concatenate([Shuffled(16).batch(own, 0, 1, index) for index in range(4)]) for own in labels]
    assert np.array_equal(plans[0], plans[1])
    assert np.array_equal(plans[0], plans[2])


def test_order_depends_only_on_seed_and_epoch():
    first = np.concatenate(epoch(Shuffled(16), 100))
    assert np.array_equal(first, np.concatenate(epoch(Shuffled(16), 100)))
    assert not np.array_equal(first, np.concatenate(epoch(Shuffled(16), 100, seed=1)))
    assert not np.array_equal(first, np.concatenate(epoch(Shuffled(16), 100, number=1)))


def test_invalid_batch_size_or_too_few_videos_are_rejected():
    with pytest.raises(AvnasError, match="batch_size=1 must be at least 2"):
        Shuffled(1)
    with pytest.raises(DataError, match="has 1 videos; a batch needs two"):
        Shuffled().batches_per_epoch(np.ones((1, 1), bool))
