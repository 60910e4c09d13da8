"""A judge of architectures for the conformance checks."""

import zlib
from collections.abc import Sequence

from avhash_nas.space import Architecture
from avhash_nas.training import Interrupted


class FakeEvaluator:
    """Scores architectures by a function of their names alone, remembers its answers, and may be interrupted.

    Args:
        known: Answers from before an interruption.
        patience: Number of new answers that it gives before it is interrupted; None for any number.

    Attributes:
        known: All answers, for the judge of the next attempt.
        asked: Every architecture that was asked for, in order, whether known or not.
    """

    def __init__(self, known: dict[Architecture, float] | None = None, patience: int | None = None) -> None:
        self.known = {} if known is None else dict(known)
        self.asked: list[Architecture] = []
        self._patience = patience

    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """A number in [0, 1) for each."""
        return [self._answer(architecture) for architecture in architectures]

    def train(self, architecture: Architecture) -> float:
        """The same as `scores` says."""
        return self._answer(architecture)

    def _answer(self, architecture: Architecture) -> float:
        self.asked.append(architecture)
        if architecture not in self.known:
            if self._patience == 0:
                raise Interrupted(15)
            self._patience = None if self._patience is None else self._patience - 1
            self.known[architecture] = zlib.crc32(repr(architecture).encode()) / 2**32
        return self.known[architecture]
