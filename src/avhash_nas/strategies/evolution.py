"""The evolutionary search of SPOS (Guo et al. 2020, Algorithm 1), as a function of a space and of scores."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace, draw_distinct
from avhash_nas.strategies.scored import Scored, best_first, score_all

TRIES = 10
"""Children that are bred at most for each one wanted: the others had been scored before. As in the authors' code."""


@dataclass(frozen=True)
class Evolution:
    """What an evolution has seen.

    Attributes:
        generations: The architectures that were new in each generation, in the order of scoring; none comes twice.
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
    mutants, then crossovers, then random ones until the population is complete. What has been scored is never scored
    again, so that every generation is new; it is scored in one call. A space that is used up ends the search.

    Deterministic: a generation's random numbers depend on the seed and its number, everything else on the scores.
    Scored again from the start with the same answers it takes the same course.

    The authors' code scores its last generation without ever looking at it, 50 + 20 x 50 evaluations for what its
    settings call 20 generations; here the random one is the first of 20, and the last one counts: 20 x 50. It also
    draws for ever where a small space is used up.

    Args:
        space: What is searched.
        score_many: Scores of some architectures, one each, higher is better. Called once a generation.
        seed: Of everything random.
        population: Architectures of a generation.
        generations: At most.
        top: Number of elites.
        mutants: Of a generation, at most.
        crossovers: Of a generation, at most.
        mutation: Probability that a mutant draws a cell anew. The draw may give what the cell had, so that a cell of n
            candidates changes with probability `mutation` * (1 - 1 / n).

    Raises:
        AvnasError: A score is not a number.
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
    """A copy in which every cell is drawn anew, uniformly from all its candidates, with the given probability."""
    anew = space.sample(random)
    drawn = random.random(len(parent)) < probability
    return Architecture({cell: (anew if new else parent)[cell] for cell, new in zip(parent, drawn)})


def cross(first: Architecture, second: Architecture, random: np.random.Generator) -> Architecture:
    """Every cell as in the one or the other parent, with equal probability."""
    from_first = random.random(len(first)) < 0.5
    return Architecture({cell: (first if own else second)[cell] for cell, own in zip(first, from_first)})


def _pick(elites: list[Scored], random: np.random.Generator) -> Architecture:
    return elites[random.integers(len(elites))].architecture


def _unseen(bred: Iterable[Architecture], seen: set[Architecture]) -> Iterator[Architecture]:
    """The children that were not seen before; from now on they are."""
    for child in bred:
        if child not in seen:
            seen.add(child)
            yield child
