"""Random draws of strategies: a stream of numbers for every purpose, and architectures without repetition."""

import itertools
import zlib
from collections.abc import Collection

import numpy as np

from avhash_nas.space import Architecture, SearchSpace


def stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A random generator that depends on its arguments alone, so that every rank and every resumed run draws the same.

    Args:
        seed: Seed of the run, at least 0.
        purpose: What is drawn. Different purposes draw independently under the same seed and counters, and
            independently of what samples the batches.
        counters: Where in the run: epoch and batch, or generation.

    >>> int(stream(0, "paths", 3, 1).integers(1000)) == int(stream(0, "paths", 3, 1).integers(1000))
    True
    """
    key = (zlib.crc32(purpose.encode()), *counters)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def draw_distinct(
    space: SearchSpace, count: int, random: np.random.Generator, seen: Collection[Architecture] = frozenset()
) -> list[Architecture]:
    """Architectures drawn uniformly from those of a space that are not yet seen, none twice.

    Always ends: once fewer than half of the space would be left, what is left is listed and shuffled instead of drawn
    until something new comes.

    Args:
        space: Where to draw from.
        count: How many are wanted.
        random: Drawn from.
        seen: Architectures of the space that must not come.

    Returns:
        `count` architectures, or fewer where the space holds no more.
    """
    if 2 * (len(seen) + count) > space.size:
        every = itertools.product(*(range(len(cell.candidates)) for cell in space.cells))
        left = [space.architecture(dict(zip((cell.name for cell in space.cells), indices))) for indices in every]
        left = [architecture for architecture in left if architecture not in seen]
        return [left[position] for position in random.permutation(len(left))[:count]]
    drawn: dict[Architecture, None] = {}
    while len(drawn) < count:
        architecture = space.sample(random)
        if architecture not in seen:
            drawn[architecture] = None
    return list(drawn)
