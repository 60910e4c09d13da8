"""Slow, obvious twins for searches that score architectures, and the chi-square test of draws."""

import itertools

import numpy as np
import torch

from avhash_nas.space import Architecture


def every_architecture(space):
    """All of a small space."""
    names = [cell.name for cell in space.cells]
    return [
        Architecture(dict(zip(names, choice))) for choice in itertools.product(*(c.candidates for c in space.cells))
    ]


def additive_fitness(space, seed):
    """A fitness that adds a normal value for every choice: cells do not interact, and one architecture is best."""
    random = np.random.default_rng(seed)
    worth = {(cell.name, candidate): random.normal() for cell in space.cells for candidate in cell.candidates}
    return lambda architecture: sum(worth[choice] for choice in architecture.items())


def best_by_enumeration(space, fitness):
    """The architecture of the highest fitness, by looking at all."""
    return max(every_architecture(space), key=fitness)


def elites_by_definition(generations, top):
    """The `top` best of all generations, best first, of equals the earliest: by removing the best again and again."""
    left = [scored for generation in generations for scored in generation]
    elites = []
    while left and len(elites) < top:
        best = left[0]
        for scored in left:
            if scored.score > best.score:
                best = scored
        left.remove(best)
        elites.append(best)
    return elites


def uniform_p(counts):
    """p value of Pearson's chi-square test that counts of any shape come from a uniform distribution.

    For a table of two independent uniform variables that is a test of uniformity and of independence at once.
    """
    counts = np.asarray(counts, dtype=float)
    expected = counts.mean()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return chi_square_tail(statistic, counts.size - 1)


def independent_p(table):
    """p value of Pearson's chi-square test that the rows and columns of a table of counts are independent."""
    table = np.asarray(table, dtype=float)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return chi_square_tail(statistic, (table.shape[0] - 1) * (table.shape[1] - 1))


def chi_square_tail(statistic, degrees):
    """Probability of a chi-square variable to exceed a value: the regularized upper incomplete gamma function."""
    half = torch.tensor([degrees / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))
