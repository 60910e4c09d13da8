"""Streams of random numbers, and architectures drawn without repetition."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.data.sampling import generator
from avhash_nas.space import Cell, SearchSpace, load_space
from avhash_nas.strategies.draws import draw_distinct, stream
from reference.strategies_evolution import every_architecture, uniform_p

SMALL = SearchSpace((Cell("visual.U1", ("skip", "silu", "layer_norm")), Cell("T", ("self_attention", "self_ssm"))))


class TestStream:
    def test_it_depends_on_its_arguments_alone(self):
        first = stream(3, "paths", 1, 2).integers(2**62, size=4)
        np.random.seed(5)
        assert first.tolist() == stream(3, "paths", 1, 2).integers(2**62, size=4).tolist()

    def test_every_argument_changes_it(self):
        keys = [
            *(
                (seed, purpose, epoch, batch)
                for seed in (0, 1)
                for purpose in "ab"
                for epoch in (0, 1)
                for batch in (0, 1)
            ),
            *((seed, purpose) for seed in (0, 1) for purpose in "ab"),
            *((seed, purpose, 0) for seed in (0, 1) for purpose in "ab"),
        ]
        drawn = {int(stream(*key).integers(2**62)) for key in keys}
        assert len(drawn) == len(keys)

    def test_it_is_not_the_stream_that_samples_batches(self):
        """Run and data have one seed: with one stream, a video would always meet the same candidates."""
        batches = {int(generator(0, epoch, batch).integers(2**62)) for epoch in range(5) for batch in (None, *range(5))}
        paths = {int(stream(0, "paths", epoch, batch).integers(2**62)) for epoch in range(5) for batch in range(5)}
        assert not batches & paths


class TestDistinct:
    @given(st.integers(1, 8), st.integers(0, 6), st.integers(0, 5))
    def test_none_twice_none_seen_and_as_many_as_there_are(self, count, already, seed):
        every = every_architecture(SMALL)
        seen = set(every[:already])
        drawn = draw_distinct(SMALL, count, stream(seed, "test"), seen)
        assert len(set(drawn)) == len(drawn) == min(count, len(every) - already)
        assert not seen & set(drawn)
        assert set(drawn) <= set(every)

    def test_a_large_space(self):
        space = load_space("full")
        drawn = draw_distinct(space, 200, stream(0, "test"))
        assert len(set(drawn)) == 200
        for architecture in drawn:
            space.check(architecture)
        assert draw_distinct(space, 200, stream(0, "test")) == drawn
        assert draw_distinct(space, 200, stream(1, "test")) != drawn

    @pytest.mark.parametrize(("count", "already"), [(1, 0), (2, 0), (2, 2), (4, 1), (3, 3)])
    def test_every_ordered_draw_is_as_probable(self, count, already):
        """Drawn by rejection (count + seen at most half of the space) or from a list of what is left."""
        every = every_architecture(SMALL)
        seen = frozenset(every[:already])
        draws = Counter(tuple(draw_distinct(SMALL, count, stream(seed, "test"), seen)) for seed in range(6000))
        possible = list(itertools.permutations(every[already:], count))
        assert draws.keys() <= set(possible)
        assert uniform_p([draws[drawn] for drawn in possible]) > 1e-3
