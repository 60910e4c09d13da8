"""What can be searched: cells, their candidates, and architectures, all plain values."""

from avhash_nas.space.architecture import Architecture
from avhash_nas.space.cell import Cell
from avhash_nas.space.search_space import SearchSpace, draw_distinct, load_space

__all__ = ["Architecture", "Cell", "SearchSpace", "draw_distinct", "load_space"]
