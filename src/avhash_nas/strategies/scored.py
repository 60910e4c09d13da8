"""Scored architectures, and strategies that return the best one."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies.base import SearchStrategy


@dataclass(frozen=True)
class Scored:
    """An architecture and its score; higher is better."""

    architecture: Architecture
    score: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form: `{"cells": {...}, "score": ...}`."""
        return {**self.architecture.to_dict(), "score": self.score}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Scored":
        """Inverse of `to_dict`."""
        return cls(Architecture.from_dict(data), data["score"])


def score_all(
    architectures: Sequence[Architecture], score_many: Callable[[Sequence[Architecture]], list[float]]
) -> tuple[Scored, ...]:
    """Score many architectures in one call.

    Raises:
        AvnasError: A score is NaN, which cannot be ranked.
    """
    scored = tuple(Scored(*pair) for pair in zip(architectures, score_many(architectures), strict=True))
    for each in scored:
        if math.isnan(each.score):
            raise AvnasError(f"the score of {each.architecture} is not a number: the weights have diverged")
    return scored


def best_first(scored: Iterable[Scored]) -> list[Scored]:
    """Sorted by descending score; ties keep the order of scoring."""
    return sorted(scored, key=lambda each: -each.score)


def describe_scores(scored: Sequence[Scored]) -> dict[str, Any]:
    """Number, best and mean of scores, and their sample standard deviation as `spread`, None for a single score.

    >>> describe_scores([Scored(Architecture({"T": "self_ssm"}), 0.5), Scored(Architecture({"T": "conv3"}), 0.25)])
    {'evaluations': 2, 'best': 0.5, 'mean': 0.375, 'spread': 0.1767766952966369}
    """
    scores = [each.score for each in scored]
    return {
        "evaluations": len(scores),
        "best": max(scores),
        "mean": statistics.fmean(scores),
        "spread": statistics.stdev(scores) if len(scores) > 1 else None,
    }


class BestScored(SearchStrategy):
    """A strategy that returns the best of the architectures that its `search` had scored, in one or several rounds.

    The state at the end of training is kept. A subclass fills `rounds` in `search`. Before that, `derive` returns a
    random architecture drawn by the seed.

    Attributes:
        rounds: Scored architectures, in the order of scoring.
    """

    monitor = None
    rounds: tuple[tuple[Scored, ...], ...] = ()

    @override
    def setup_search(self, space: SearchSpace, seed: int) -> None:
        super().setup_search(space, seed)
        self.rounds = ()

    @property
    def scored(self) -> list[Scored]:
        """All scored architectures, best first."""
        return best_first(each for scored in self.rounds for each in scored)

    @override
    def derive(self) -> Architecture:
        """The best scored architecture, the earliest of ties; a random one before `search`."""
        if not self.rounds:
            return self.space.sample(stream(self.seed, "derive"))
        return self.scored[0].architecture

    @override
    def report(self) -> dict[str, Any]:
        """Number, best, mean and spread of the scores; empty before `search`."""
        return describe_scores(self.scored) if self.rounds else {}

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "rounds": [[each.to_dict() for each in scored] for scored in self.rounds]}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.rounds = tuple(tuple(map(Scored.from_dict, scored)) for scored in state_dict["rounds"])
