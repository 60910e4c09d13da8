"""Architectures with their scores, and strategies that end with the best of those that were scored."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies.base import SearchStrategy


@dataclass(frozen=True)
class Scored:
    """An architecture and what it scored.

    Attributes:
        architecture: What was scored.
        score: Higher is better.
    """

    architecture: Architecture
    score: float

    def to_dict(self) -> dict[str, Any]:
        """The form that checkpoints and JSON files hold: `{"cells": {...}, "score": ...}`."""
        return {**self.architecture.to_dict(), "score": self.score}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Scored":
        """Inverse of `to_dict`."""
        return cls(Architecture.from_dict(data), data["score"])


def score_all(
    architectures: Sequence[Architecture], score_many: Callable[[Sequence[Architecture]], list[float]]
) -> tuple[Scored, ...]:
    """Let many be scored in one call.

    Raises:
        AvnasError: A score is not a number, so that nothing can be ranked by it.
    """
    scored = tuple(Scored(*pair) for pair in zip(architectures, score_many(architectures), strict=True))
    for each in scored:
        if math.isnan(each.score):
            raise AvnasError(f"the score of {each.architecture} is not a number: the weights have diverged")
    return scored


def best_first(scored: Iterable[Scored]) -> list[Scored]:
    """By falling score; of equals, the one that was scored first comes first."""
    return sorted(scored, key=lambda each: -each.score)


def describe_scores(scored: Sequence[Scored]) -> dict[str, Any]:
    """Number, best and mean of scores, and as `spread` their sample standard deviation, None for a single one.

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
    """A strategy that ends with the best of the architectures that it had scored, in one or several rounds.

    There is nothing to select an epoch by: the state at the end is kept. A subclass fills `rounds` in `search`. Before
    that, `derive` gives an architecture drawn by the seed, which stands for nothing but a place in the space.

    Attributes:
        rounds: What was scored, in the order of scoring.
    """

    monitor = None
    rounds: tuple[tuple[Scored, ...], ...] = ()

    def setup_search(self, space: SearchSpace, seed: int) -> None:
        """Start with nothing scored."""
        super().setup_search(space, seed)
        self.rounds = ()

    @property
    def scored(self) -> list[Scored]:
        """All that was scored, best first."""
        return best_first(each for scored in self.rounds for each in scored)

    def derive(self) -> Architecture:
        """The best that was scored, the earliest of equals; one drawn by the seed as long as nothing was."""
        if not self.rounds:
            return self.space.sample(stream(self.seed, "derive"))
        return self.scored[0].architecture

    def report(self) -> dict[str, Any]:
        """Number, best, mean and spread of the scores; nothing as long as nothing was scored."""
        return describe_scores(self.scored) if self.rounds else {}

    def state_dict(self) -> dict[str, Any]:
        """Adds what was scored."""
        return {**super().state_dict(), "rounds": [[each.to_dict() for each in scored] for scored in self.rounds]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        super().load_state_dict(state_dict)
        self.rounds = tuple(tuple(map(Scored.from_dict, scored)) for scored in state_dict["rounds"])
