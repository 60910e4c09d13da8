"""Random search: architectures drawn at random, each trained alone."""

import warnings
from typing import Any

from typing_extensions import override

from avhash_nas.distributed import rank
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Routes
from avhash_nas.random_streams import stream
from avhash_nas.space import draw_distinct
from avhash_nas.strategies.protocols import Evaluator, SearchProgress
from avhash_nas.strategies.scored import BestScored, score_all


class RandomSearch(BestScored):
    """Draws architectures uniformly, trains each alone, and keeps the best on val.

    No supernet is trained. Every architecture starts from fresh weights and is trained by the recipe and budget of
    fine-tuning, as in the paper's rows "Random 1" to "Random 5" (Table 2). The best of k is a search with k times that
    budget; the mean and spread describe a random architecture.

    Args:
        count: Distinct architectures; of a smaller space all are trained, with a warning.

    Raises:
        AvnasError: `count` is not positive.
    """

    uses_supernet = False

    def __init__(self, count: int = 5) -> None:
        if count < 1:
            raise AvnasError(f"strategy.count must be at least 1, got {count}")
        self.count = count

    @override
    def route(self, progress: SearchProgress) -> Routes:
        """The derived architecture: used by HashingModule directly, one random architecture is trained alone."""
        return self.space.indices(self.derive())

    @override
    def search(self, evaluator: Evaluator) -> None:
        drawn = draw_distinct(self.space, self.count, stream(self.seed, "random"))
        if len(drawn) < self.count and rank() == 0:
            text = f"strategy.count is {self.count}, the space has {len(drawn)} architectures: all are trained"
            warnings.warn(text, stacklevel=2)
        self.rounds = (score_all(drawn, lambda architectures: [evaluator.train(each) for each in architectures]),)

    @override
    def report(self) -> dict[str, Any]:
        """Number, best, mean and spread of the scores, and every architecture with its score, best first."""
        return {**super().report(), "architectures": [each.to_dict() for each in self.scored]}
