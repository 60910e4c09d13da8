"""The evolutionary search of SPOS (Guo et al. 2020, Algorithm 1), as a function of a space and of scores."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace, draw_distinct
from avhash_nas.strategies.scored import Scored, best_first, score_all

TRIES = 10
"""Breeding attempts per child, as some children have been scored before. As in the authors' code."""


@dataclass(frozen=True)
class Evolution:
    """Result of an evolution.

    Attributes:
        generations: New architectures of each generation, in the order of scoring; none occurs twice.
        elites: The best of all generations, best first.
    """

    generations: tuple[tuple[Scored, ...], ...]
    elites: tuple[Scored, ...]

    @property
    def best(self) -> Architecture:
        """The best architecture of all."""
        return self.elites[0].architecture


def evolve(
    space: SearchSpace,
    score_many: Callable[[Sequence[Architecture]], list[float]],
    seed: int,
    *,
    population: int = 50,
    generations: int = 20,
    top: int = 10,
    mutants: int = 25,
    crossovers: int = 25,
    mutation: float = 0.1,
) -> Evolution:
    """Search a space for the architecture of the highest score.

    The first generation is random. Each later one is bred from the elites, the best of all generations so far: first
    mutants, then crossovers, then random architectures until the population is complete. No architecture is scored
    twice, and each generation is scored in one call. The search ends when all architectures of the space are scored.

    Deterministic: a generation's random numbers depend on the seed and its number, everything else on the scores, so
    that a restart with the same scores gives the same result.

    The authors' code scores its last generation without using it: 50 + 20 x 50 evaluations for a setting of 20
    generations; here the random generation is the first of 20, and the last one counts: 20 x 50. Their code also never
    ends where a small space is exhausted.

    Args:
        space: Search space.
        score_many: Scores of some architectures, higher is better. Called once per generation.
        seed: Of everything random.
        population: Architectures of a generation.
        generations: Number of generations, at most.
        top: Number of elites.
        mutants: Mutants of a generation, at most.
        crossovers: Crossovers of a generation, at most.
        mutation: Probability that a mutant redraws a cell. The draw may repeat the old candidate, so a cell of n
            candidates changes with probability `mutation` * (1 - 1 / n).

    Raises:
        AvnasError: A score is NaN.
    """
    seen: set[Architecture] = set()
    history: list[tuple[Scored, ...]] = []
    elites: list[Scored] = []
    for generation in range(generations):
        random = stream(seed, "evolution", generation)
        children: list[Architecture] = []
        if elites:
            bred = (mutate(_pick(elites, random), space, mutation, random) for _ in range(TRIES * mutants))
            children += islice(_unseen(bred, seen), mutants)
            bred = (cross(_pick(elites, random), _pick(elites, random), random) for _ in range(TRIES * crossovers))
            children += islice(_unseen(bred, seen), crossovers)
        children += draw_distinct(space, population - len(children), random, seen)
        if not children:
            break
        seen.update(children)
        history.append(score_all(children, score_many))
        elites = best_first([*elites, *history[-1]])[:top]
    return Evolution(tuple(history), tuple(elites))


def mutate(parent: Architecture, space: SearchSpace, probability: float, random: np.random.Generator) -> Architecture:
    """A copy in which every cell is redrawn, uniformly from all its candidates, with the given probability."""
    sampled = space.sample(random)
    redrawn = random.random(len(parent)) < probability
    return Architecture({cell: (sampled if new else parent)[cell] for cell, new in zip(parent, redrawn)})


def cross(first: Architecture, second: Architecture, random: np.random.Generator) -> Architecture:
    """A child that has each cell from one of both parents, with equal probability."""
    from_first = random.random(len(first)) < 0.5
    return Architecture({cell: (first if own else second)[cell] for cell, own in zip(first, from_first)})


def _pick(elites: list[Scored], random: np.random.Generator) -> Architecture:
    return elites[random.integers(len(elites))].architecture


def _unseen(bred: Iterable[Architecture], seen: set[Architecture]) -> Iterator[Architecture]:
    """Children that are not in `seen`, to which they are added."""
    for child in bred:
        if child not in seen:
            seen.add(child)
            yield child
