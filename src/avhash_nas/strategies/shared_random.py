"""Random search with shared weights (Li and Talwalkar 2019): the random-search baseline for SPOS."""

from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import stream
from avhash_nas.space import draw_distinct
from avhash_nas.strategies.protocols import Evaluator
from avhash_nas.strategies.scored import score_all
from avhash_nas.strategies.single_path import SinglePath


class SharedRandom(SinglePath):
    """Trains the supernet by uniform single paths and keeps the best of many random architectures, scored on val.

    Source: Li and Talwalkar, "Random Search and Reproducibility for Neural Architecture Search". The supernet
    is that of SPOS with the same options, bit for bit, so the difference to SPOS is due to its evolution.

    Args:
        fair: Strict fairness (`SinglePath`).
        probes: Number of fixed random paths whose mean score on val is logged as that of the supernet.
        count: Distinct architectures to score; of a smaller space all. SPOS scores 20 x 50.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(self, fair: bool = False, probes: int = 4, count: int = 1000) -> None:
        super().__init__(fair, probes)
        if count < 1:
            raise AvnasError(f"strategy.count must be at least 1, got {count}")
        self.count = count

    @override
    def search(self, evaluator: Evaluator) -> None:
        drawn = draw_distinct(self.space, self.count, stream(self.seed, "shared random"))
        self.rounds = (score_all(drawn, evaluator.scores),)
