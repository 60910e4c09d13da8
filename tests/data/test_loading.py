import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.fabric.utilities import move_data_to_device
from torch.utils.data._utils.pin_memory import pin_memory

from avhash_nas.data import Batch, ClassBalanced, HashingData, Triplets
from avhash_nas.data.epoch_loader import EpochSampler
from avhash_nas.data.loading import OrderedBatches, Rank, SampledBatches
from avhash_nas.errors import AvnasError


@pytest.fixture
def data(make_set, tmp_path):
    return HashingData(make_set(), cache_dir=tmp_path / "cache").prepare()


class NoVideos:
    """Stands for the videos where only the order matters."""

    def __init__(self, labels):
        self.labels = labels


def read(batches, epoch=0):
    sampler = EpochSampler(batches)
    sampler.set_epoch(epoch)
    return [rows.tolist() for rows in sampler]


@settings(max_examples=100, deadline=None)
@given(
    sampling=st.sampled_from(
        [ClassBalanced(2, 3), ClassBalanced(3, 2, by="class"), Triplets(4, 2), Triplets(5, 1), Triplets(1, 2)]
    ),
    ranks=st.integers(1, 4),
    epoch=st.integers(0, 3),
    count=st.none() | st.integers(1, 20),
)
def test_shares_of_all_ranks_form_the_batches_of_one_process(sampling, ranks, epoch, count):
    labels = np.eye(5, dtype=bool).repeat([9, 7, 5, 5, 2], axis=0)
    alone, *shared = (
        read(SampledBatches(NoVideos(labels), np.arange(28), sampling, 3, count, Rank(number, of)), epoch)
        for number, of in [(0, 1), *((number, ranks) for number in range(ranks))]
    )
    assert len(alone) == (count or sampling.batches_per_epoch(labels))
    for whole, *parts in zip(alone, *shared, strict=True):
        assert [row for part in parts for row in part] == whole
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_batches_smaller_than_the_world_size_are_rejected():
    labels = np.eye(3, dtype=bool).repeat([5, 5, 3], axis=0)
    SampledBatches(NoVideos(labels), np.arange(13), Triplets(4, 1), 0, rank=Rank(0, 3))
    with pytest.raises(AvnasError, match="a batch of 3 videos cannot be shared by 4 processes"):
        SampledBatches(NoVideos(labels), np.arange(13), Triplets(4, 1), 0, rank=Rank(0, 4))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_resuming_on_another_number_of_ranks(ranks):
    labels = np.eye(4, dtype=bool).repeat(6, axis=0)
    of = [SampledBatches(NoVideos(labels), np.arange(24), ClassBalanced(2, 2), 0, rank=Rank(0, n)) for n in (2, ranks)]
    stopped = EpochSampler(of[0], progress=lambda: (1, 2)).state_dict()
    sampler = EpochSampler(of[1])
    sampler.load_state_dict(stopped)
    whole = read(of[1], 1)
    assert [rows.tolist() for rows in sampler] == whole[2:]
    assert [rows.tolist() for rows in sampler] == whole  # the start is left out once


def test_sampled_batches_use_only_the_given_rows():
    labels = np.eye(3, dtype=bool).repeat(10, axis=0)
    rows = np.array([1, 3, 11, 14, 15, 22, 29])
    batches = SampledBatches(NoVideos(labels), rows, ClassBalanced(3, 2), seed=0)
    drawn = np.concatenate([batches.plan(0)(number) for number in range(len(batches))])
    assert set(drawn.tolist()) == set(rows.tolist())


@settings(max_examples=200, deadline=None)
@given(count=st.integers(1, 60), size=st.integers(1, 20), ranks=st.integers(1, 7))
def test_ordered_batches_cover_each_video_once_with_equal_counts_per_rank(count, size, ranks):
    rows = np.arange(100, 100 + count)
    shared = [read(OrderedBatches(NoVideos(None), rows, size, Rank(number, ranks))) for number in range(ranks)]
    assert len({len(stream) for stream in shared}) == 1
    assert len(shared[0]) == math.ceil(math.ceil(count / ranks) / size)
    pieces = [piece for stream in shared for piece in stream]
    assert all(1 <= len(piece) <= size for piece in pieces)
    seen = sorted(row for piece in pieces for row in piece)
    assert sorted(set(seen)) == rows.tolist()
    if count >= len(pieces):
        assert seen == rows.tolist()


def test_integer_key_is_a_batch_of_epoch_0(data):
    batches = SampledBatches(data._videos, data.splits["train"], Triplets(2, 1), seed=0)
    for number in range(len(batches)):
        assert np.array_equal(batches[number].index, batches.plan(0)(number))


def test_pickled_batches_contain_no_features(make_set, tmp_path):
    data = HashingData(make_set(frames=3000), cache_dir=tmp_path / "cache").prepare()
    batches = OrderedBatches(data._videos, data.splits["val"], 2)
    pickled = pickle.dumps(batches)
    assert len(pickled) < 3000
    assert np.array_equal(pickle.loads(pickled)[0].visual, batches[0].visual)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_batch_contains_the_vectors_of_its_rows(make_set, tmp_path, dtype):
    data = HashingData(make_set(dtype=dtype), cache_dir=tmp_path / "cache").prepare()
    rows = np.array([4, 0, 4, 2])
    batch = data.batch(rows)
    for found, features in ((batch.visual, data._videos.visual), (batch.audio, data._videos.audio)):
        assert found.dtype == torch.float32
        assert np.array_equal(found.numpy(), features._array[rows].astype(np.float32))
    assert np.array_equal(batch.labels.numpy(), data.labels[rows])
    with pytest.raises(IndexError):
        data.batch(np.array([0, len(data.ids)]))


def test_batch_is_pinned_and_moved_asynchronously(data, monkeypatch):
    """As the loader of a CUDA machine and Lightning do it, with the device that holds no numbers."""
    batch, moved, pinned = data.batch(np.arange(3)), [], []
    to = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *a, **k: (moved.append(k), to(self, *a, **k))[1])
    on_device = move_data_to_device(batch, torch.device("meta"))
    assert type(on_device) is Batch
    assert {field.device.type for field in on_device[:4]} == {"meta"}
    assert on_device.events is None
    assert moved == [{"non_blocking": True}] * 4
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self, *_: (pinned.append(self), self)[1])
    assert type(pin_memory(batch)) is Batch
    assert [id(field) for field in pinned] == [id(field) for field in batch[:4]]
    for wanted in (True, False):
        loader = HashingData(data.root, data.cache_dir, pin_memory=wanted).prepare().train_dataloader()
        assert loader.pin_memory is wanted
