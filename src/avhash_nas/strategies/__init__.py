"""What decides which candidate each cell keeps: one strategy, one file, one word on the command line."""

from avhash_nas.strategies.avnas import AVNAS
from avhash_nas.strategies.base import Moment, SearchStrategy

__all__ = ["AVNAS", "Moment", "SearchStrategy"]
