"""How good a strategy's choice is: what its supernet says of architectures, and what these are worth alone."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace, draw_distinct


@dataclass(frozen=True)
class Quality:
    """Of the choice of one run.

    Attributes:
        tau: Kendall's tau between supernet and stand-alone scores; None without a supernet, or where it is undefined.
        count: Architectures that tau is taken over.
        chosen: Stand-alone score of the architecture that the run chose; None if it was not trained.
        best: Highest stand-alone score of the ranked architectures; None if none was trained.
    """

    tau: float | None
    count: int
    chosen: float | None
    best: float | None

    @property
    def regret(self) -> float | None:
        """What the choice is worth less than the best ranked architecture, both trained alone; negative if more."""
        return None if self.chosen is None or self.best is None else self.best - self.chosen


def quality(supernet: Mapping[str, float], alone: Mapping[str, float], ranked: Sequence[str], chosen: str) -> Quality:
    """Compare the two kinds of scores of the same architectures, all by short name.

    Args:
        supernet: mAP@100 on val with the supernet's weights.
        alone: mAP@100 on val after training alone, of the ranked architectures and the chosen one, as far as known.
        ranked: The architectures of the ranking.
        chosen: What the run chose; it need not be one of them.
    """
    trained = [name for name in ranked if name in alone]
    both = [name for name in trained if name in supernet]
    tau = kendall_tau([supernet[name] for name in both], [alone[name] for name in both])
    best = max((alone[name] for name in trained), default=None)
    return Quality(None if math.isnan(tau) else tau, len(both), alone.get(chosen), best)


def kendall_tau(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b of paired numbers: (concordant - discordant) / sqrt(pairs untied in one * untied in the other).

    Returns:
        In [-1, 1]; nan where all of one side are tied.

    >>> kendall_tau([1, 2, 3, 4], [1, 3, 2, 4])
    0.6666666666666666
    """
    first, second = (np.sign(np.subtract.outer(values, values)) for values in (one, other))
    untied = math.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / untied) if untied else math.nan


def agreement(scores: Sequence[Mapping[str, float]]) -> float | None:
    """Mean tau between stand-alone trainings of the same architectures under different seeds.

    No supernet can be expected to agree with them better than they do among themselves.

    Args:
        scores: For each seed, the scores by short name.

    Returns:
        None for fewer than two seeds, or where tau is undefined.
    """
    taus = []
    for one, other in itertools.combinations(scores, 2):
        common = [name for name in one if name in other]
        taus.append(kendall_tau([one[name] for name in common], [other[name] for name in common]))
    return None if not taus or any(map(math.isnan, taus)) else float(np.mean(taus))


def draw(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """The architectures of a ranking: distinct, drawn uniformly.

    Raises:
        AvnasError: The space holds fewer.
    """
    if space.size < count:
        raise AvnasError(f"ranking.architectures is {count}, but ranking.space holds only {space.size}")
    return draw_distinct(space, count, stream(seed, "ranking"))


def covers(searched: SearchSpace, ranked: SearchSpace, name: str) -> bool:
    """Whether a supernet of one space can score the architectures of another.

    Args:
        searched: Space of the supernet.
        ranked: Space of the ranking.
        name: Of the entry, for errors.

    Returns:
        False where the two are different networks: other cells (a single modality) or another expansion.

    Raises:
        AvnasError: They are the same network, but the supernet lacks a candidate.
    """
    if {cell.name for cell in searched.cells} != {cell.name for cell in ranked.cells}:
        return False
    for cell in ranked.cells:
        lacking = sorted(set(cell.candidates) - set(searched[cell.name].candidates))
        if lacking:
            raise AvnasError(f"ranking.space: cell {cell.name} has {', '.join(lacking)}, which {name} does not search")
    return searched.expand == ranked.expand


def read_scores(file: Path) -> dict[str, float]:
    """Scores by short name from a JSON file; none if it is not there."""
    return {name: float(score) for name, score in read_json(file).items()} if file.exists() else {}
