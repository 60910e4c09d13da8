"""How good the architecture that a search chose is, measured by training architectures alone."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avhash_nas.files import read_json


@dataclass(frozen=True)
class SearchQuality:
    """Quality of one run's search. Scores are mAP@100 on val.

    Attributes:
        tau: Kendall's tau between supernet and stand-alone scores; None without a supernet, or where it is undefined.
        count: Number of architectures that tau is computed over.
        chosen: Stand-alone score of the chosen architecture; None if it was not trained.
        best: Highest stand-alone score of the ranked architectures; None if none was trained.
    """

    tau: float | None = None
    count: int = 0
    chosen: float | None = None
    best: float | None = None

    @property
    def regret(self) -> float | None:
        """Best ranked minus chosen, both trained alone; negative if the chosen architecture is better."""
        return None if self.chosen is None or self.best is None else self.best - self.chosen


def search_quality(
    supernet: Mapping[str, float], alone: Mapping[str, float], ranked: Sequence[str], chosen: str
) -> SearchQuality:
    """Compare supernet and stand-alone scores of the same architectures, all by short name.

    Args:
        supernet: Scores with the supernet's weights.
        alone: Known stand-alone scores of the ranked architectures and of the chosen one.
        ranked: Architectures of the ranking.
        chosen: The architecture that the run chose; it may lie outside the ranking.
    """
    trained = [name for name in ranked if name in alone]
    both = [name for name in trained if name in supernet]
    tau = kendall_tau([supernet[name] for name in both], [alone[name] for name in both])
    best = max((alone[name] for name in trained), default=None)
    return SearchQuality(None if math.isnan(tau) else tau, len(both), alone.get(chosen), best)


def kendall_tau(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b of paired numbers: (concordant - discordant) / sqrt(pairs untied in one * untied in the other).

    Returns:
        In [-1, 1]; nan if all values of one side are equal.

    >>> kendall_tau([1, 2, 3, 4], [1, 3, 2, 4])
    0.6666666666666666
    """
    first, second = (np.sign(np.subtract.outer(values, values)) for values in (one, other))
    untied = math.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / untied) if untied else math.nan


def seed_agreement(scores: Sequence[Mapping[str, float]]) -> float | None:
    """Mean tau between stand-alone trainings of the same architectures with different seeds.

    It bounds the tau that a supernet can be expected to reach.

    Args:
        scores: Scores by short name, for each seed.

    Returns:
        None for fewer than two seeds, or where tau is undefined.
    """
    taus = []
    for one, other in itertools.combinations(scores, 2):
        common = [name for name in one if name in other]
        taus.append(kendall_tau([one[name] for name in common], [other[name] for name in common]))
    return None if not taus or any(map(math.isnan, taus)) else float(np.mean(taus))


def read_supernet_scores(file: Path) -> dict[str, float]:
    """Scores by short name from a JSON file; empty if the file does not exist."""
    return {name: float(score) for name, score in read_json(file).items()} if file.exists() else {}
