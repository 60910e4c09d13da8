"""Single Path One-Shot: uniform sampling, then evolution (ECCV 2020)."""

from functools import partial
from typing import Any

from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.strategies.evolution import evolve
from avhash_nas.strategies.protocols import Evaluator
from avhash_nas.strategies.scored import describe_scores
from avhash_nas.strategies.single_path import SinglePath


class SPOS(SinglePath):
    """Trains the supernet by uniform single paths, then searches by evolution on val.

    Source: Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling". Differences from the
    authors' code: it samples paths uniformly over bins of FLOPs, here over architectures, as the paper says; it
    re-estimates batch norm for each candidate, which no operator uses here (the hash layer can, with averages over all
    paths); `strategies/evolution.py` documents how the evolution differs.

    Args:
        fair: Strict fairness (`SinglePath`), which SPOS does not have.
        probes: Number of fixed random paths whose mean score on val is logged as that of the supernet.
        population: Architectures of a generation.
        generations: Number of generations, including the random first one.
        top: Number of elites, the best of all generations so far, that the next generation is bred from.
        mutants: Mutants of a generation, at most.
        crossovers: Crossovers of a generation, at most. Random architectures complete the population.
        mutation: Probability that a mutant redraws a cell.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(
        self,
        fair: bool = False,
        probes: int = 4,
        population: int = 50,
        generations: int = 20,
        top: int = 10,
        mutants: int = 25,
        crossovers: int = 25,
        mutation: float = 0.1,
    ) -> None:
        super().__init__(fair, probes)
        for name, value in {"population": population, "generations": generations, "top": top}.items():
            if value < 1:
                raise AvnasError(f"strategy.{name} must be at least 1, got {value}")
        for name, value in {"mutants": mutants, "crossovers": crossovers}.items():
            if value < 0:
                raise AvnasError(f"strategy.{name} must not be negative, got {value}")
        if mutants + crossovers > population:
            raise AvnasError(
                f"strategy.mutants and strategy.crossovers must fit into the population of {population}, "
                f"got {mutants} + {crossovers}"
            )
        if not 0 <= mutation <= 1:
            raise AvnasError(f"strategy.mutation must lie in [0, 1], got {mutation}")
        self.top = top
        self.evolve = partial(
            evolve,
            population=population,
            generations=generations,
            top=top,
            mutants=mutants,
            crossovers=crossovers,
            mutation=mutation,
        )

    @override
    def search(self, evaluator: Evaluator) -> None:
        self.rounds = self.evolve(self.space, evaluator.scores, self.seed).generations

    @override
    def report(self) -> dict[str, Any]:
        """Statistics of all scores and of each generation, and the final elites with their scores."""
        return {
            **super().report(),
            "generations": [describe_scores(scored) for scored in self.rounds],
            "elites": [each.to_dict() for each in self.scored[: self.top]],
        }
