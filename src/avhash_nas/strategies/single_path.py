"""Training a supernet by single paths: every weight step runs one candidate of each cell."""

import math
from collections.abc import Mapping

import numpy as np
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route, Routes
from avhash_nas.random_streams import stream
from avhash_nas.space import SearchSpace, draw_distinct
from avhash_nas.strategies.protocols import SearchProgress
from avhash_nas.strategies.scored import BestScored


def uniform_path(space: SearchSpace, seed: int, epoch: int, batch: int) -> dict[str, int]:
    """One candidate of every cell, uniformly and independently: a pure function of its arguments."""
    sizes = [len(cell.candidates) for cell in space.cells]
    drawn = stream(seed, "single path", epoch, batch).integers(sizes)
    return {cell.name: position for cell, position in zip(space.cells, drawn.tolist())}


def fair_paths(space: SearchSpace, seed: int, epoch: int, batch: int) -> tuple[dict[str, int], ...]:
    """Paths that together run every candidate equally often (strict fairness, Chu et al. 2021).

    There are n paths, as many as the largest cell has candidates; each of those runs once. (In FairNAS all cells have
    one size.) In a smaller cell with m candidates each runs floor(n / m) or ceil(n / m) times, and the remainder
    rotates: over m / gcd(n, m) steps, counted from the start of an epoch, all have run equally often. With cells of 8,
    3 and 2 candidates each runs 1 time in 8; 2 or 3 times in 8, and 8 times in 24 after every third step; 4 in 8.

    Each path alone is a uniform one, and cells are independent: the turns of every cell are shuffled. A pure function
    of its arguments.
    """
    paths = max(len(cell.candidates) for cell in space.cells)
    shuffle = stream(seed, "fair paths", epoch, batch)
    turns = {}
    for index, cell in enumerate(space.cells):
        size = len(cell.candidates)
        whole, odd = divmod(paths, size)
        steps = size // math.gcd(size, paths)
        order = stream(seed, "odd turns", epoch, batch // steps, index).permutation(size)
        extra = order[(batch % steps * odd + np.arange(odd)) % size]
        turns[cell.name] = shuffle.permutation([*range(size)] * whole + extra.tolist()).tolist()
    return tuple({cell: order[path] for cell, order in turns.items()} for path in range(paths))


class SinglePath(BestScored):
    """Trains the supernet by uniform single paths; a subclass then chooses an architecture.

    A weight step runs one candidate of every cell, drawn uniformly and independently (Guo et al. 2020, section 3.2).
    The others have no gradient rather than a zero gradient, so that neither momentum nor weight decay moves them.

    All ranks run the same path: the objective compares the codes of all ranks' videos, which must come from one
    network, and DDP would average a gradient over ranks most of which did not run the candidate.

    Args:
        fair: Strict fairness: a step runs as many paths as the largest cell has candidates and takes the mean of their
            losses, so that every candidate is trained in every step, each equally often (`fair_paths`). A step costs
            that many times as much.
        probes: Number of fixed random paths whose mean score on val is logged as that of the supernet.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(self, fair: bool = False, probes: int = 4) -> None:
        if probes < 1:
            raise AvnasError(f"strategy.probes must be at least 1, got {probes}")
        self.fair = fair
        self.probes = probes

    @override
    def route(self, progress: SearchProgress) -> Routes:
        """A uniform path, or the paths of a fair step."""
        draw = fair_paths if self.fair else uniform_path
        return draw(self.space, self.seed, progress.epoch, progress.batch)

    @override
    def evaluation_routes(self, progress: SearchProgress) -> Mapping[str, Routes]:
        """The probes, the same at every validation; the derived architecture only after `search`."""
        probes = draw_distinct(self.space, self.probes, stream(self.seed, "probes"))
        supernet: tuple[Route, ...] = tuple(map(self.space.indices, probes))
        derived = super().evaluation_routes(progress) if self.rounds else {}
        return {"supernet": supernet, **derived}

    @override
    def summary(self, progress: SearchProgress) -> dict[str, float]:
        """Empty before `search`."""
        return super().summary(progress) if self.rounds else {}
