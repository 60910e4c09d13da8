import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.data import ClassBalanced, HashingData, Triplets
from avhash_nas.data.loading import OrderedBatches, RankSampler, SampledBatches


@pytest.fixture
def data(make_set, tmp_path):
    return HashingData(make_set(), cache_dir=tmp_path / "cache").prepare()


class NoVideos:
    """Stands for the videos where only the order matters."""

    def __init__(self, labels):
        self.labels = labels


def streams(batches, ranks, epoch):
    samplers = [RankSampler(batches, ranks=ranks, rank=rank) for rank in range(ranks)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [[rows.tolist() for rows in sampler] for sampler in samplers]


@pytest.mark.parametrize("sampling", [ClassBalanced(2, 3), ClassBalanced(2, 3, by="class"), Triplets(4, 2)])
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_union_of_ranks_is_the_epoch_of_one_rank(sampling, ranks):
    labels = np.eye(5, dtype=bool).repeat([9, 7, 5, 5, 2], axis=0)
    batches = SampledBatches(NoVideos(labels), np.arange(28), sampling, seed=3)
    for epoch in (0, 1):
        (alone,) = streams(batches, 1, epoch)
        assert len(alone) == len(batches)
        shared = streams(batches, ranks, epoch)
        steps = -(-len(alone) // ranks)
        assert [len(stream) for stream in shared] == [steps] * ranks
        dealt = [shared[rank][step] for step in range(steps) for rank in range(ranks)]
        assert dealt == (alone + alone)[: steps * ranks]


def test_more_ranks_than_batches(data):
    batches = SampledBatches(data._videos, data.splits["train"], ClassBalanced(3, 2), seed=0)
    assert len(batches) == 1
    assert streams(batches, 3, 0) == streams(batches, 1, 0) * 3


def test_start_is_left_out_once():
    labels = np.eye(4, dtype=bool).repeat(6, axis=0)
    batches = SampledBatches(NoVideos(labels), np.arange(24), ClassBalanced(2, 2), seed=0)
    sampler = RankSampler(batches, ranks=2, rank=1)
    sampler.load_state_dict({"epoch": 0, "done": 2, "ranks": 2})
    whole = [rows.tolist() for rows in RankSampler(batches, ranks=2, rank=1)]
    assert len(sampler) == 3
    assert [rows.tolist() for rows in sampler] == whole[2:]
    assert [rows.tolist() for rows in sampler] == whole


def test_another_number_of_ranks_within_an_epoch_is_said(data):
    sampler = RankSampler(SampledBatches(data._videos, data.splits["train"], Triplets(2, 1), seed=0))
    with pytest.warns(UserWarning, match="on 1 ranks after 2"):
        sampler.load_state_dict({"epoch": 0, "done": 2, "ranks": 2})


def test_rows_are_those_of_the_videos_given():
    labels = np.eye(3, dtype=bool).repeat(10, axis=0)
    rows = np.array([1, 3, 11, 14, 15, 22, 29])
    batches = SampledBatches(NoVideos(labels), rows, ClassBalanced(3, 2), seed=0)
    drawn = np.concatenate([batches.plan(0)(number) for number in range(len(batches))])
    assert set(drawn.tolist()) == set(rows.tolist())


@settings(max_examples=200, deadline=None)
@given(count=st.integers(1, 60), size=st.integers(1, 20), ranks=st.integers(1, 7))
def test_ordered_batches_hold_each_video_once_and_are_equally_many(count, size, ranks):
    rows = np.arange(100, 100 + count)
    shared = streams(OrderedBatches(NoVideos(None), rows, size, ranks), ranks, 0)
    assert len({len(stream) for stream in shared}) == 1
    assert len(shared[0]) == math.ceil(math.ceil(count / ranks) / size)
    pieces = [piece for stream in shared for piece in stream]
    assert all(1 <= len(piece) <= size for piece in pieces)
    seen = sorted(row for piece in pieces for row in piece)
    assert sorted(set(seen)) == rows.tolist()
    if count >= len(pieces):
        assert seen == rows.tolist()


def test_a_number_stands_for_a_batch_of_the_first_epoch(data):
    batches = SampledBatches(data._videos, data.splits["train"], Triplets(2, 1), seed=0)
    for number in range(len(batches)):
        assert np.array_equal(batches[number].index, batches.plan(0)(number))


def test_workers_get_no_copy_of_the_features(make_set, tmp_path):
    data = HashingData(make_set(frames=3000), cache_dir=tmp_path / "cache").prepare()
    batches = OrderedBatches(data._videos, data.splits["val"], 2, 1)
    pickled = pickle.dumps(batches)
    assert len(pickled) < 3000
    assert np.array_equal(pickle.loads(pickled)[0].visual, batches[0].visual)
