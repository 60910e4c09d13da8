"""Search strategies: which candidate each cell keeps. `--strategy=NAME` names a file of this package."""

from avhash_nas.strategies.avnas import AVNAS
from avhash_nas.strategies.base import SearchStrategy
from avhash_nas.strategies.darts import DARTS
from avhash_nas.strategies.enas import ENAS
from avhash_nas.strategies.gdas import GDAS
from avhash_nas.strategies.protocols import Evaluator, Searchable, SearchContext, SearchProgress, WeightOptimizer
from avhash_nas.strategies.proxylessnas import ProxylessNAS
from avhash_nas.strategies.random import RandomSearch
from avhash_nas.strategies.shared_random import SharedRandom
from avhash_nas.strategies.spos import SPOS

__all__ = [
    "AVNAS",
    "DARTS",
    "ENAS",
    "GDAS",
    "SPOS",
    "Evaluator",
    "ProxylessNAS",
    "RandomSearch",
    "SearchContext",
    "SearchProgress",
    "SearchStrategy",
    "Searchable",
    "SharedRandom",
    "WeightOptimizer",
]
