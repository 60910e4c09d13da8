"""An evaluator of architectures for the conformance checks."""

import zlib
from collections.abc import Sequence

from typing_extensions import override

from avhash_nas.space import Architecture
from avhash_nas.strategies import Evaluator
from avhash_nas.training import Interrupted


class FakeEvaluator(Evaluator):
    """Scores architectures by a function of their names alone, remembers the scores, and may be interrupted.

    Args:
        known: Scores from before an interruption.
        patience: Number of new scores before it is interrupted; None for no limit.

    Attributes:
        known: All scores, for the evaluator of the next attempt.
        requests: Every architecture whose score was requested, in order.
    """

    def __init__(self, known: dict[Architecture, float] | None = None, patience: int | None = None) -> None:
        self.known = {} if known is None else dict(known)
        self.requests: list[Architecture] = []
        self._patience = patience

    @override
    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """A number in [0, 1) for each."""
        return [self.train(architecture) for architecture in architectures]

    @override
    def train(self, architecture: Architecture) -> float:
        """The same number as by `scores`."""
        self.requests.append(architecture)
        if architecture not in self.known:
            if self._patience == 0:
                raise Interrupted(15)
            self._patience = None if self._patience is None else self._patience - 1
            self.known[architecture] = zlib.crc32(repr(architecture).encode()) / 2**32
        return self.known[architecture]
