"""Drawing the ranked architectures, and which supernets can score them."""

import pytest

from avhash_nas.comparison import Ranking
from avhash_nas.comparison.ranking import covers
from avhash_nas.errors import AvnasError
from avhash_nas.space import Architecture, Cell, SearchSpace, load_space


def draw(space: SearchSpace, count: int, seed: int = 0) -> list[Architecture]:
    return Ranking("", architectures=count, seed=seed).draw(space)


def test_drawn_architectures_are_distinct_and_depend_on_the_seed() -> None:
    space = SearchSpace((Cell("visual.U1", ("skip", "silu")), Cell("T", ("self_attention", "self_ssm"))))
    assert len(set(draw(space, 4))) == 4
    full = load_space("full")
    assert draw(full, 20, 3) == draw(full, 20, 3)
    assert draw(full, 20, 3) != draw(full, 20, 4)
    with pytest.raises(AvnasError, match=r"ranking.architectures is 5, but ranking.space holds only 4"):
        draw(space, 5)


def test_supernet_covers_only_subspaces_of_its_space() -> None:
    full, authors = load_space("full"), load_space("authors")
    assert covers(full, authors, "darts")
    assert not covers(load_space("visual"), authors, "visual")
    assert not covers(full, load_space("transformer"), "darts")  # without Up and Down: another network
    with pytest.raises(AvnasError, match=r"cell visual.U1 has layer_norm, which darts does not search"):
        covers(authors, full, "darts")
