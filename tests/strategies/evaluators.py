"""An evaluator of architectures that records its calls, remembers its scores, and may be interrupted."""

from avhash_nas.training import Interrupted


class SpyEvaluator:
    """Scores by a function and remembers, so that each architecture is evaluated once.

    Args:
        fitness: Score of an architecture.
        memory: Earlier scores, as if left on disk by an interrupted run.
        interrupted_at: Number of the evaluation, from 0, that is interrupted; None for none.
    """

    def __init__(self, fitness, memory=None, interrupted_at=None):
        self.fitness = fitness
        self.memory = {} if memory is None else memory
        self.interrupted_at = interrupted_at
        self.evaluated, self.calls, self.trained = [], [], []

    def scores(self, architectures):
        self.calls.append(list(architectures))
        return [self._score(architecture) for architecture in architectures]

    def train(self, architecture):
        self.trained.append(architecture)
        return self._score(architecture)

    def _score(self, architecture):
        if architecture not in self.memory:
            if len(self.evaluated) == self.interrupted_at:
                raise Interrupted(15)
            self.evaluated.append(architecture)
            self.memory[architecture] = self.fitness(architecture)
        return self.memory[architecture]


def searched_by(strategy, space, fitness, seed=0):
    """The strategy after its search in a space, and its evaluator."""
    strategy.setup_search(space, seed)
    evaluator = SpyEvaluator(fitness)
    strategy.search(evaluator)
    return strategy, evaluator


def search_in_pieces(make_strategy, fitness):
    """Search with an interruption at every evaluation; the last strategy, and everything that was evaluated."""
    memory, evaluated = {}, []
    while True:
        evaluator = SpyEvaluator(fitness, memory, interrupted_at=1)
        strategy = make_strategy()
        try:
            strategy.search(evaluator)
        except Interrupted:
            continue
        else:
            return strategy, evaluated
        finally:
            evaluated += evaluator.evaluated
