import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from avhash_nas.data import Shuffled, Tuples
from avhash_nas.errors import AvnasError
from avhash_nas.offline import AnchorGraph
from reference.offline_neighbors import affinity, relations


@st.composite
def graphs(draw):
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    groups = draw(st.integers(1, 6))
    owners = random.integers(0, groups, draw(st.integers(6, 40)))
    x = 4 * random.standard_normal((groups, 3))[owners] + random.standard_normal((len(owners), 3))
    anchors = x[random.integers(0, len(x), draw(st.integers(5, 20)))] + 0.1 * random.standard_normal((1, 3))
    anchors = anchors + 1e-3 * random.standard_normal(anchors.shape)  # no two coincide
    near = [affinity(x, anchors, s) for s in (3, 4, 5)]
    assume(all((np.abs(np.log(values[values > 0] / 1e-5)) > 1e-6).all() for values in near))
    try:
        return AnchorGraph(x, anchors), relations(x, anchors)
    except AvnasError:
        assume(False)


@settings(max_examples=60)
@given(graphs())
def test_relations_equal_those_of_dense_matrices(made):
    graph, wanted = made
    every = np.arange(len(graph))
    for video in every.tolist():
        similar = np.flatnonzero(wanted[video] == 1)
        assert graph.similar(video).tolist() == similar[similar != video].tolist()
        assert graph.dissimilar(video).tolist() == np.flatnonzero(wanted[video] == 2).tolist()
        assert np.array_equal(graph.are_similar(np.full(len(graph), video), every), wanted[video] == 1)


@settings(max_examples=40)
@given(made=graphs(), seed=st.integers(0, 100))
def test_draws_respect_the_relations(made, seed):
    graph, wanted = made
    positions = np.arange(len(graph)).repeat(5)
    random = np.random.default_rng(seed)
    similar, dissimilar = graph.draw_similar(positions, random), graph.draw_dissimilar(positions, random)
    for video, near, far in zip(positions.tolist(), similar.tolist(), dissimilar.tolist(), strict=True):
        assert wanted[video, near] == 1
        assert near != video or (wanted[video] == 1).sum() == 1
        assert wanted[video, far] == (2 if (wanted[video] == 2).any() else 0)


def planted(videos: int, groups: int = 20) -> np.ndarray:
    random = np.random.default_rng(0)
    owners = np.arange(videos) % groups
    return 3 * random.standard_normal((groups, 4))[owners] + random.standard_normal((videos, 4))


def test_draws_are_uniform():
    x = planted(300)
    graph = AnchorGraph(x, x[:60])
    video = next(v for v in range(300) if min(len(graph.similar(v)), len(graph.dissimilar(v))) > 3)
    positions = np.full(4000, video)
    for choices, draw in ((graph.similar(video), graph.draw_similar), (graph.dissimilar(video), graph.draw_dissimilar)):
        found, counts = np.unique(draw(positions, np.random.default_rng(0)), return_counts=True)
        assert np.array_equal(found, choices)
        expected = 4000 / len(choices)
        assert (np.abs(counts - expected) < 5 * expected**0.5).all()


def test_unrelated_videos_are_drawn_if_none_is_dissimilar():
    far_apart = np.repeat(100.0 * np.arange(5), 5)[:, None]
    jitter = np.random.default_rng(0).standard_normal((25, 1))
    x = far_apart + jitter
    graph = AnchorGraph(x, x)
    assert len(graph.dissimilar(12)) == 0
    drawn = graph.draw_dissimilar(np.full(2000, 12), np.random.default_rng(0))
    assert set(drawn.tolist()) == set(range(25)) - {12, *graph.similar(12).tolist()}


def test_half_of_the_pairs_are_similar_and_draws_depend_on_seed_epoch_and_batch_only():
    x = planted(300)
    graph = AnchorGraph(x, x[:60])
    pairs = graph.draw_pairs(np.arange(300).repeat(10), np.random.default_rng(0))
    assert pairs.shape == (3000, 1)
    assert abs(graph.are_similar(np.arange(300).repeat(10), pairs[:, 0]).mean() - 0.5) < 5 * (0.25 / 3000) ** 0.5
    sampling = Tuples(Shuffled(50), graph.draw_pairs, 1)
    labels = np.zeros((300, 1), bool)
    assert np.array_equal(sampling.batch(labels, 1, 2, 3), sampling.batch(labels, 1, 2, 3))


def test_memory_is_linear_in_the_number_of_videos():
    def peak(videos: int) -> int:
        x = planted(videos, 200).astype(np.float32)
        tracemalloc.start()
        graph = AnchorGraph(x, x[:400])
        graph.draw_pairs(np.arange(0, videos, 100), np.random.default_rng(0))
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    small, large = peak(4000), peak(16000)
    assert large < 4.5 * small
    assert large < 16000**2 / 10  # bytes; a matrix of bits would take 1/8


def test_invalid_graphs_are_refused():
    x = planted(30)
    with pytest.raises(AvnasError, match="4 anchors; it takes at least 5"):
        AnchorGraph(x, x[:4])
    with pytest.raises(AvnasError, match="do not match"):
        AnchorGraph(x, x[:10, :2])
    with pytest.raises(AvnasError, match="similar to all others: take more anchors"):
        AnchorGraph(x[:6], x[:5])
