"""Training videos cut in two parts, and streams of batches from a part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.data import ClassBalanced, HashingData, Shuffled, Tuples, write_synthetic
from avhash_nas.data.stratified_split import split_stratified
from avhash_nas.errors import AvnasError


@st.composite
def some_labels(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = random.random((draw(st.integers(2, 60)), draw(st.integers(1, 8)))) < draw(st.sampled_from([0.0, 0.3]))
    labels[np.arange(len(labels)), random.integers(0, labels.shape[1], len(labels))] = True
    return labels


@given(labels=some_labels(), train_fraction=st.floats(0.05, 0.95), seed=st.integers(0, 5))
def test_split_is_a_partition_of_the_requested_sizes(labels, train_fraction, seed):
    first, second = split_stratified(labels, train_fraction, seed)
    assert sorted([*first, *second]) == list(range(len(labels)))
    assert abs(len(first) - train_fraction * len(labels)) <= 0.5 + 1e-6


@given(
    sizes=st.lists(st.integers(1, 15), min_size=1, max_size=8),
    train_fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 5),
)
def test_every_class_is_split_in_the_same_proportion(sizes, train_fraction, seed):
    labels = np.eye(len(sizes), dtype=bool).repeat(sizes, axis=0)
    first, _ = split_stratified(labels, train_fraction, seed)
    assert (abs(labels[first].sum(0) - train_fraction * np.array(sizes)) < 1 + 1e-6).all()


def test_split_depends_on_the_seed_alone():
    labels = np.eye(4, dtype=bool).repeat(20, axis=0)
    cuts = [split_stratified(labels, 0.5, seed)[0].tolist() for seed in (0, 1, 0)]
    assert cuts[0] == cuts[2] != cuts[1]


@pytest.mark.parametrize("train_fraction", [0.0, 1.0, -0.5, float("nan")])
def test_train_fraction_out_of_range_is_rejected(train_fraction):
    with pytest.raises(AvnasError, match="train_fraction must lie between 0 and 1"):
        split_stratified(np.eye(4, dtype=bool), train_fraction, 0)


@pytest.fixture
def data(tmp_path):
    root = write_synthetic(tmp_path / "set", classes=3, train=8, val=2, test=2, visual_dim=4, audio_dim=3, frames=2)
    return HashingData(root, cache_dir=tmp_path / "cache", sampling=ClassBalanced(3, 2)).prepare()


def test_split_uses_labels_only_if_the_sampling_does(data):
    train = data.splits["train"]
    weights, held_out = data.split_train(0.25, seed=2)
    assert sorted([*weights, *held_out]) == train.tolist()
    assert data.labels[weights].sum(0).tolist() == [2, 2, 2]
    data.sampling = Shuffled(4)
    shuffled = [data.split_train(0.25, seed)[0] for seed in range(20)]
    assert {len(rows) for rows in shuffled} == {6}
    assert any(data.labels[rows].sum(0).tolist() != [2, 2, 2] for rows in shuffled)
    data.labels = np.roll(data.labels, 5, axis=0)
    assert all(map(np.array_equal, shuffled, [data.split_train(0.25, seed)[0] for seed in range(20)]))


def test_train_on_restricts_videos_and_keeps_the_epoch_length(data):
    whole = [batch.index for batch in data.train_dataloader()]
    part = data.splits["train"][::2]
    data.train_on(part)
    loader = data.train_dataloader()
    batches = [batch.index.tolist() for batch in loader]
    assert len(batches) == len(whole) == 4
    assert {row for batch in batches for row in batch} == set(part.tolist())
    data.train_on(None)
    again = [batch.index for batch in data.train_dataloader()]
    assert all(map(np.array_equal, whole, again))


def test_train_on_rejects_a_sampling_of_all_training_videos(data):
    data.draw_by(Tuples(data.sampling, lambda positions, _: positions[:, None], 1))
    assert len(data.train_dataloader()) == 4
    data.train_on(data.splits["train"][::2])
    with pytest.raises(AvnasError, match="the objective draws its batches by Tuples from all training videos"):
        data.train_dataloader()


def test_epochs_of_a_part_are_consecutive_passes(data):
    """Two epochs of four batches hold four passes of two batches over half the videos, none of them like another."""
    data.train_on(data.splits["train"][::2])
    loader = data.train_dataloader()
    plans = [loader.dataset.plan(epoch) for epoch in (0, 1)]
    passes = [[plan(number).tolist() for number in numbers] for plan in plans for numbers in ((0, 1), (2, 3))]
    for batches in passes:
        assert sorted(row for batch in batches for row in batch) == data.splits["train"][::2].tolist()
    assert len({str(batches) for batches in passes}) == 4


def test_stream_is_a_pure_function_of_the_batch_number(data):
    part = data.splits["train"][1::2]
    stream = data.stream(part, seed=3)
    forward = [stream(number).index.tolist() for number in range(7)]
    assert [stream(number).index.tolist() for number in reversed(range(7))] == forward[::-1]
    assert {row for rows in forward[:2] for row in rows} == set(part.tolist())
    assert [data.stream(part, seed=4)(number).index.tolist() for number in range(7)] != forward
