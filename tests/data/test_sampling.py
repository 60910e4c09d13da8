import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from avhash_nas.data import ClassBalanced, Triplets
from avhash_nas.data.sampling import class_members
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.random_streams import batch_stream


@st.composite
def single_label(draw):
    sizes = draw(st.lists(st.integers(1, 12), min_size=2, max_size=8))
    assume(max(sizes) > 1)
    labels = np.eye(len(sizes), dtype=bool).repeat(sizes, axis=0)
    return labels[np.random.default_rng(draw(st.integers(0, 9))).permutation(len(labels))]


@st.composite
def several_labels(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = random.random((draw(st.integers(3, 40)), draw(st.integers(2, 8)))) < 0.25
    labels[np.arange(len(labels)), random.integers(0, labels.shape[1], len(labels))] = True
    return labels


any_labels = st.one_of(single_label(), several_labels())


def epoch(sampling, labels, seed=0, number=0):
    return [sampling.batch(labels, seed, number, index) for index in range(sampling.batches_per_epoch(labels))]


def usable_or_skip(sampling, labels):
    try:
        return sampling.batches_per_epoch(labels)
    except DataError:
        assume(False)


def lonely(labels):
    """Videos that share no label with any other, by comparing all pairs."""
    return {
        a for a in range(len(labels)) if not any((labels[a] & labels[b]).any() for b in range(len(labels)) if a != b)
    }


@pytest.mark.parametrize(
    "sampling",
    [ClassBalanced(3, 4), ClassBalanced(3, 4, by="class"), Triplets(5, 2)],
    ids=["video", "class", "triplet"],
)
@settings(max_examples=30, deadline=None)
@given(labels=any_labels, seed=st.integers(0, 2**40), number=st.integers(0, 5))
def test_batches_are_a_pure_function_of_seed_epoch_and_index(sampling, labels, seed, number):
    count = usable_or_skip(sampling, labels)
    state = np.random.get_state()[1].tolist()
    forward = epoch(sampling, labels, seed, number)
    plan = sampling.epoch(labels, seed, number)
    for index in reversed(range(count)):
        assert np.array_equal(plan(index), forward[index])
    assert np.random.get_state()[1].tolist() == state
    assert all(batch.dtype == np.int64 and batch.min() >= 0 and batch.max() < len(labels) for batch in forward)


@pytest.mark.parametrize(
    "sampling", [ClassBalanced(4, 4), ClassBalanced(4, 4, by="class"), Triplets(32)], ids=["video", "class", "triplet"]
)
def test_seed_epoch_and_batch_change_the_draw(sampling):
    labels = np.eye(6, dtype=bool).repeat(20, axis=0)
    first = sampling.batch(labels, 0, 0, 0)
    for other in (sampling.batch(labels, 1, 0, 0), sampling.batch(labels, 0, 1, 0), sampling.batch(labels, 0, 0, 1)):
        assert not np.array_equal(first, other)


def test_generators_of_epoch_and_batches_differ():
    keys = [(0, 0, None), (0, 0, 0), (0, 0, 1), (0, 1, None), (1, 0, None), (0, 1, 0)]
    assert len({batch_stream(*key).integers(2**62) for key in keys}) == len(keys)


@settings(max_examples=60, deadline=None)
@given(labels=any_labels)
def test_class_members(labels):
    expected = [[video for video in range(len(labels)) if labels[video, label]] for label in range(labels.shape[1])]
    assert [members.tolist() for members in class_members(labels)] == expected


@settings(max_examples=100, deadline=None)
@given(labels=any_labels, classes=st.integers(2, 5), videos=st.integers(2, 5), number=st.integers(0, 3))
@example(  # both videos with positives are dealt for one class, and the batch lacks a group
    labels=np.array([[False, False, False, True, True], [False, False, True, True, True], [True, True] + [False] * 3]),
    classes=3,
    videos=4,
    number=1,
)
@pytest.mark.parametrize("by", ["video", "class"])
def test_groups_share_a_label_and_single_videos_occur_once_per_batch(by, labels, classes, videos, number):
    sampling = ClassBalanced(classes, videos, by)
    usable_or_skip(sampling, labels)
    alone = lonely(labels)
    pools = int((labels.sum(0) > 1).sum()) + bool(alone)
    for batch in epoch(sampling, labels, number=number):
        groups = batch.reshape(-1, videos)
        assert len(groups) == min(classes, pools)
        assert all(batch.tolist().count(video) <= 1 for video in alone)
        for group in groups:
            if alone & set(group.tolist()):
                continue
            common = labels[group].all(0)
            assert common.any()
            smallest = min(labels[:, label].sum() for label in np.flatnonzero(common))
            assert len(set(group.tolist())) >= min(videos, smallest)


@settings(max_examples=100, deadline=None)
@given(labels=any_labels, classes=st.integers(2, 5), videos=st.integers(2, 5), number=st.integers(0, 3))
def test_by_video_every_video_occurs_in_every_epoch(labels, classes, videos, number):
    sampling = ClassBalanced(classes, videos)
    usable_or_skip(sampling, labels)
    seen = np.concatenate(epoch(sampling, labels, number=number))
    assert set(seen.tolist()) == set(range(len(labels)))


def test_by_video_every_video_occurs_once_if_class_sizes_are_divisible():
    labels = np.eye(8, dtype=bool).repeat(12, axis=0)
    batches = epoch(ClassBalanced(4, 4), labels)
    assert len(batches) == 6
    assert np.bincount(np.concatenate(batches)).tolist() == [1] * 96
    for batch in batches:
        assert len(set(labels[batch].argmax(1).tolist())) == 4


@settings(max_examples=50, deadline=None)
@given(labels=single_label(), classes=st.integers(2, 5), videos=st.integers(2, 4))
def test_by_video_groups_of_a_class_are_spread_evenly_over_batches(labels, classes, videos):
    batches = epoch(ClassBalanced(classes, videos), labels)
    owners = [labels[batch.reshape(-1, videos)].all(1).argmax(1) for batch in batches]
    for label in np.flatnonzero(labels.sum(0) > 1):
        held = [int((owner == label).sum()) for owner in owners]
        if lonely(labels):  # the group of single videos may look like any class here
            continue
        assert max(held) - min(held) <= 1


def test_by_class_draws_classes_uniformly():
    sizes = [2, 10, 100]
    labels = np.eye(3, dtype=bool).repeat(sizes, axis=0)
    sampling = ClassBalanced(2, 2, by="class")
    drawn = np.concatenate([sampling.batch(labels, 0, 0, index)[::2] for index in range(600)])
    counts = np.bincount(labels[drawn].argmax(1))
    assert (abs(counts - 400) < 60).all()  # standard deviation 11.5


def test_video_with_several_labels_is_assigned_to_each_of_them_over_epochs():
    labels = np.array([[True, False]] * 4 + [[False, True]] * 4 + [[True, True]])
    owners = set()
    for number in range(20):
        for batch in epoch(ClassBalanced(2, 3), labels, number=number):
            owners |= {tuple(labels[g].all(0)) for g in batch.reshape(-1, 3) if 8 in g}
    assert owners >= {(True, False), (False, True)}


def test_group_of_few_single_videos_is_completed_by_others():
    labels = np.eye(4, dtype=bool).repeat([4, 4, 1, 1], axis=0)
    for by in ("video", "class"):
        groups = np.concatenate(epoch(ClassBalanced(3, 4, by), labels)).reshape(-1, 4)
        mixed = [set(group.tolist()) for group in groups if {8, 9} & set(group.tolist())]
        assert mixed
        assert all({8, 9} <= group and len(group) == 4 for group in mixed)


@settings(max_examples=100, deadline=None)
@given(labels=any_labels, anchors=st.integers(1, 20), negatives=st.integers(1, 5), number=st.integers(0, 3))
def test_triplets_against_a_comparison_of_all_pairs(labels, anchors, negatives, number):
    sampling = Triplets(anchors, negatives)
    usable_or_skip(sampling, labels)
    shares = np.array([[bool((a & b).any()) for b in labels] for a in labels])
    batches = epoch(sampling, labels, number=number)
    assert [len(batch) for batch in batches[:-1]] == [sampling.batch_size] * (len(batches) - 1)
    rows = np.concatenate(batches).reshape(-1, 2 + negatives)
    possible = [v for v in range(len(labels)) if shares[v].sum() > 1 and not shares[v].all()]
    assert sorted(rows[:, 0].tolist()) == possible
    for anchor, positive, *rest in rows.tolist():
        assert positive != anchor
        assert shares[anchor, positive]
        assert not shares[anchor, rest].any()
        free = int((~shares[anchor]).sum())
        assert len(set(rest)) >= min(negatives, free)


@settings(max_examples=50, deadline=None)
@given(labels=single_label(), negatives=st.integers(1, 4))
def test_triplet_negatives_are_from_distinct_classes_if_possible(labels, negatives):
    rows = np.concatenate(epoch(Triplets(8, negatives), labels)).reshape(-1, 2 + negatives)
    for row in rows:
        assert len(set(labels[row[2:]].argmax(1).tolist())) == min(negatives, labels.shape[1] - 1)


def test_triplet_draws_are_uniform_over_positives_and_negative_classes():
    labels = np.eye(4, dtype=bool).repeat([3, 1, 5, 50], axis=0)
    rows = np.concatenate([np.concatenate(epoch(Triplets(128, 1), labels, number=n)) for n in range(150)]).reshape(
        -1, 3
    )
    of_first = rows[rows[:, 0] == 0]
    positives = np.bincount(of_first[:, 1], minlength=3)
    assert positives[0] == 0
    assert (abs(positives[1:3] - 75) < 32).all()  # standard deviation 6.1
    classes = np.bincount(labels[of_first[:, 2]].argmax(1), minlength=4)
    assert classes[0] == 0
    assert (abs(classes[1:] - 50) < 29).all()  # standard deviation 5.8


@pytest.mark.parametrize("sampling", [ClassBalanced(2, 2), ClassBalanced(2, 2, "class"), Triplets(2)])
@pytest.mark.parametrize(
    ("labels", "reason"),
    [(np.eye(4, dtype=bool), "positive"), (np.ones((4, 1), bool), "negative")],
    ids=["no positive", "no negative"],
)
def test_labels_without_positive_or_negative_are_rejected(sampling, labels, reason):
    with pytest.raises(DataError, match=reason):
        sampling.batches_per_epoch(labels)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClassBalanced(1, 2),
        lambda: ClassBalanced(2, 1),
        lambda: ClassBalanced(by="group"),
        lambda: Triplets(0),
        lambda: Triplets(negatives=0),
    ],
)
def test_sampling_options_out_of_range_are_rejected(make):
    with pytest.raises(AvnasError, match="must"):
        make()


def test_sizes():
    assert ClassBalanced(16, 8).batch_size == 128
    assert Triplets(128, 4).batch_size == 768


def test_power_draws_classes_in_proportion_to_a_power_of_their_size() -> None:
    sizes = np.array([4, 16, 64])
    labels = np.repeat(np.eye(3, dtype=bool), sizes, axis=0)
    sampling = ClassBalanced(2, 2, by="class", power=0.5)
    draws = np.concatenate([sampling.batch(labels, 0, 0, index) for index in range(3000)])
    counts = labels[draws].sum(0) / 2
    # Two of three classes in turn without replacement: P(i) = p_i + sum over j of p_j * p_i / (1 - p_j).
    p = sizes**0.5 / (sizes**0.5).sum()
    expected = np.array([p[i] + sum(p[j] * p[i] / (1 - p[j]) for j in range(3) if j != i) for i in range(3)])
    deviation = np.sqrt(expected * (1 - expected) / 3000)
    assert (np.abs(counts / 3000 - expected) < 5 * deviation).all()


@pytest.mark.parametrize(
    ("options", "text"), [({"by": "class", "power": 2.0}, "power=2.0"), ({"power": 0.5}, "by='class'")]
)
def test_invalid_power_is_rejected(options: dict[str, Any], text: str) -> None:
    with pytest.raises(AvnasError, match=re.escape(text)):
        ClassBalanced(2, 2, **options)
