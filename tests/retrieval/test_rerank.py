from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.retrieval import AsymmetricRerank, FrameRerank, Rerank, ValueRerank
from avhash_nas.retrieval.asymmetric import asymmetric_similarity
from avhash_nas.retrieval.frames import attended_similarity
from avhash_nas.retrieval.values import cosine
from reference import retrieval_rerank as oracle
from retrieval.made import code_set

WAYS = (AsymmetricRerank, FrameRerank, ValueRerank)
SEEDS = st.integers(0, 2**20)


class Given(Rerank):
    """A rerank with fixed scores."""

    query_parts = ()

    def __init__(self, scores, depth):
        super().__init__(depth)
        self.given = np.asarray(scores, np.float32)

    def scores(self, query, candidates):
        return self.given[: len(candidates)]


@given(seed=SEEDS, temperature=st.sampled_from([0.02, 0.1, 1.0, 30.0]))
def test_similarities_match_the_loop_oracle(seed, temperature):
    query, videos = code_set(seed, 1), code_set(seed + 1, 7)
    values = query.values[0].tolist()
    signs = np.where(videos.values >= 0, 1, -1).tolist()
    near = pytest.approx
    assert cosine(query.values[0], videos.values).tolist() == near(
        [oracle.cosine(values, other) for other in videos.values.tolist()], abs=1e-5
    )
    assert asymmetric_similarity(query.values[0], videos.packed).tolist() == near(
        [oracle.asymmetric_similarity(values, other) for other in signs], abs=1e-5
    )
    assert attended_similarity(query.values[0], videos.frames, temperature).tolist() == near(
        [oracle.attended_similarity(values, frames, temperature) for frames in videos.frames.tolist()], abs=1e-5
    )


@given(scores=st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12), depth=st.integers(1, 15))
def test_order_changes_only_within_the_depth(scores, depth):
    query, videos = code_set(0, 1), code_set(1, len(scores))
    order, found = Given(scores, depth).order(query, videos)
    assert order.tolist() == oracle.order(scores, depth)
    assert sorted(order[:depth]) == list(range(min(depth, len(scores))))
    assert found.tolist() == [scores[place] for place in order[:depth]]


@pytest.mark.parametrize("way", WAYS)
@given(seed=SEEDS)
def test_depth_1_keeps_the_order(way, seed):
    order, scores = way(depth=1).order(code_set(seed, 1), code_set(seed + 1, 9))
    assert order.tolist() == list(range(9))
    assert len(scores) == 1


@pytest.mark.parametrize("way", WAYS)
def test_ties_keep_the_order_of_recall(way):
    once = code_set(1, 4)
    copied = {name: np.concatenate([getattr(once, name)] * 2) for name in ("packed", "values", "frames", "labels")}
    videos = replace(once, ids=code_set(1, 8).ids, **copied)
    place = way().order(code_set(0, 1), videos)[0].argsort()
    assert (place[:4] < place[4:]).all()


@given(seed=SEEDS)
def test_asymmetric_equals_value_rerank_on_signs(seed):
    """If the database's values are signs, both give the same order."""
    query, videos = code_set(seed, 1), code_set(seed + 1, 9)
    signs = replace(videos, values=np.where(videos.values >= 0, 1, -1).astype(np.float16))
    length = np.linalg.norm(query.values[0].astype(np.float32))
    expected = AsymmetricRerank().scores(query, videos) * np.sqrt(videos.bits) / length
    np.testing.assert_allclose(ValueRerank().scores(query, signs), expected, atol=1e-5)


@given(seed=SEEDS)
def test_high_temperature_compares_with_the_mean_time_step(seed):
    query, videos = code_set(seed, 1), code_set(seed + 1, 9)
    frames = videos.frames.astype(np.float32)
    mean = (frames / np.linalg.norm(frames, axis=2, keepdims=True)).mean(axis=1)
    found = FrameRerank(temperature=1e6).scores(query, videos)
    np.testing.assert_allclose(found, cosine(query.values[0], mean), atol=1e-4)


@given(seed=SEEDS)
def test_low_temperature_compares_with_the_best_time_step(seed):
    query, videos = code_set(seed, 1), code_set(seed + 1, 9)
    best = [
        max(oracle.cosine(query.values[0].tolist(), frame) for frame in frames) for frames in videos.frames.tolist()
    ]
    np.testing.assert_allclose(FrameRerank(temperature=1e-6).scores(query, videos), best, atol=1e-4)


def test_one_matching_time_step_ranks_first():
    """The mean over time prefers a video that is slightly similar throughout."""
    query = code_set(0, 1, bits=8)
    looks = query.values[0].astype(np.float32)
    other = np.where(np.arange(8) < 4, 1, -1) * looks.mean()
    other -= looks * (other @ looks) / (looks @ looks)  # at a right angle to the query
    throughout = np.tile(0.3 * looks / np.linalg.norm(looks) + 0.95 * other / np.linalg.norm(other), (5, 1))
    for_a_moment = np.stack([looks, *[other] * 4])
    videos = replace(code_set(1, 2, bits=8), frames=np.stack([throughout, for_a_moment]).astype(np.float16))
    assert FrameRerank(temperature=10).order(query, videos)[0].tolist() == [0, 1]
    assert FrameRerank().order(query, videos)[0].tolist() == [1, 0]


@given(seed=SEEDS)
def test_order_of_time_steps_does_not_matter(seed):
    query, videos = code_set(seed, 1), code_set(seed + 1, 9)
    turned = replace(videos, frames=videos.frames[:, ::-1])
    np.testing.assert_allclose(
        FrameRerank().scores(query, turned), FrameRerank().scores(query, videos), rtol=1e-4, atol=1e-5
    )


def test_zero_vectors_score_zero():
    """A zero vector has no direction; nan would make the order random."""
    query, videos = code_set(0, 1), code_set(1, 3)
    nothing = replace(videos, values=np.zeros_like(videos.values), frames=np.zeros_like(videos.frames))
    for way in (ValueRerank(), FrameRerank()):
        assert way.scores(query, nothing).tolist() == [0.0] * 3
        assert way.scores(nothing.take([0]), videos).tolist() == [0.0] * 3


def test_required_parts_and_bytes_per_video():
    videos = code_set(0, 6, bits=12, steps=5)
    assert AsymmetricRerank().bytes_per_video(videos) == 0
    assert ValueRerank().bytes_per_video(videos) == 2 * 12
    assert FrameRerank().bytes_per_video(videos) == 2 * 5 * 12


@pytest.mark.parametrize("way", [ValueRerank, FrameRerank])
def test_missing_parts_are_reported(way):
    query, videos = code_set(0, 1), code_set(1, 3)
    lacking = replace(videos, values=None, frames=None)
    (part,) = way.database_parts
    for act in (way().check, way().scores):
        with pytest.raises(AvnasError, match=f"stored without {part}"):
            act(query, lacking)
    way().check(query, videos)


def test_codes_of_different_networks_are_rejected():
    with pytest.raises(AvnasError, match=r"network 0123.*of ffff"):
        AsymmetricRerank().check(code_set(0, 1), code_set(1, 3, fingerprint="ffff"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ValueRerank(depth=0), "depth must be at least 1, got 0"),
        (lambda: FrameRerank(temperature=0.0), "temperature must be above 0, got 0.0"),
        (lambda: FrameRerank(temperature=float("nan")), "temperature must be above 0, got nan"),
    ],
)
def test_arguments_out_of_range_are_rejected(make, message):
    with pytest.raises(AvnasError, match=message):
        make()
