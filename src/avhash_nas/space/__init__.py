"""Search spaces, cells and architectures, as plain values."""

from avhash_nas.space.architecture import Architecture
from avhash_nas.space.cell import Cell
from avhash_nas.space.presets import load_space
from avhash_nas.space.search_space import SearchSpace, draw_distinct

__all__ = ["Architecture", "Cell", "SearchSpace", "draw_distinct", "load_space"]
