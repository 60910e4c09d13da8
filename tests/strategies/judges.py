"""A judge of architectures that notes what it was asked, remembers its answers, and may be interrupted."""

from avhash_nas.training import Interrupted


class SpyJudge:
    """Answers by a function, and remembers: what is asked again costs no evaluation.

    Args:
        fitness: Score of an architecture.
        memory: Answers given before, as if left on disk by an interrupted run.
        interrupted_at: Number of the evaluation, from 0, at which a stop comes; None for none.
    """

    def __init__(self, fitness, memory=None, interrupted_at=None):
        self.fitness = fitness
        self.memory = {} if memory is None else memory
        self.interrupted_at = interrupted_at
        self.evaluated, self.calls, self.trained = [], [], []

    def scores(self, architectures):
        self.calls.append(list(architectures))
        return [self._answer(architecture) for architecture in architectures]

    def train(self, architecture):
        self.trained.append(architecture)
        return self._answer(architecture)

    def _answer(self, architecture):
        if architecture not in self.memory:
            if len(self.evaluated) == self.interrupted_at:
                raise Interrupted(15)
            self.evaluated.append(architecture)
            self.memory[architecture] = self.fitness(architecture)
        return self.memory[architecture]


def chosen_by(strategy, space, fitness, seed=0):
    """The strategy after its choice from a space, and the judge that it asked."""
    strategy.setup_search(space, seed)
    evaluator = SpyJudge(fitness)
    strategy.search(evaluator)
    return strategy, evaluator


def choose_in_pieces(make_strategy, fitness):
    """Let a strategy choose with an interruption at every evaluation; the last strategy, and what was evaluated."""
    memory, evaluated = {}, []
    while True:
        evaluator = SpyJudge(fitness, memory, interrupted_at=1)
        strategy = make_strategy()
        try:
            strategy.search(evaluator)
        except Interrupted:
            continue
        else:
            return strategy, evaluated
        finally:
            evaluated += evaluator.evaluated
