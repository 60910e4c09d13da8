"""Drawing distinct architectures."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.random_streams import stream
from avhash_nas.space import Cell, SearchSpace, draw_distinct, load_space
from reference.strategies_evolution import every_architecture, uniform_p

SMALL = SearchSpace((Cell("visual.U1", ("skip", "silu", "layer_norm")), Cell("T", ("self_attention", "self_ssm"))))


class TestDistinct:
    @given(st.integers(1, 8), st.integers(0, 6), st.integers(0, 5))
    def test_draws_are_distinct_unseen_and_complete(self, count, already, seed):
        every = every_architecture(SMALL)
        seen = set(every[:already])
        drawn = draw_distinct(SMALL, count, stream(seed, "test"), seen)
        assert len(set(drawn)) == len(drawn) == min(count, len(every) - already)
        assert not seen & set(drawn)
        assert set(drawn) <= set(every)

    def test_draws_from_a_large_space(self):
        space = load_space("full")
        drawn = draw_distinct(space, 200, stream(0, "test"))
        assert len(set(drawn)) == 200
        for architecture in drawn:
            space.check(architecture)
        assert draw_distinct(space, 200, stream(0, "test")) == drawn
        assert draw_distinct(space, 200, stream(1, "test")) != drawn

    @pytest.mark.parametrize(("count", "already"), [(1, 0), (2, 0), (2, 2), (4, 1), (3, 3)])
    def test_ordered_draws_are_uniform(self, count, already):
        """Drawn by rejection (count + seen at most half of the space) or from a list of the rest."""
        every = every_architecture(SMALL)
        seen = frozenset(every[:already])
        draws = Counter(tuple(draw_distinct(SMALL, count, stream(seed, "test"), seen)) for seed in range(2000))
        possible = list(itertools.permutations(every[already:], count))
        assert draws.keys() <= set(possible)
        assert uniform_p([draws[drawn] for drawn in possible]) > 1e-3
