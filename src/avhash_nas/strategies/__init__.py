"""What decides which candidate each cell keeps: one strategy, one file, one word on the command line."""

from avhash_nas.strategies.avnas import AVNAS
from avhash_nas.strategies.base import SearchStrategy
from avhash_nas.strategies.moment import Moment
from avhash_nas.strategies.protocols import Judge, Searchable

__all__ = ["AVNAS", "Judge", "Moment", "SearchStrategy", "Searchable"]
