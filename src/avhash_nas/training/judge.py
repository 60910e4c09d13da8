"""Scores of finished candidates, for what a strategy does after the supernet is trained."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json, write_json
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.training.choices import Judged
from avhash_nas.training.run_folder import rank

BLOCK = 100
"""Candidates that are scored between two writes of the file, at most."""


class RememberingJudge:
    """A strategy's judge, whose answers lie on disk: after an interruption nothing is scored or trained twice.

    Args:
        space: The space of the architectures.
        file: JSON file that keeps the scores; it is made when there is one.
        score_many: Scores architectures with the supernet's weights.
        train_one: Trains an architecture alone and scores it; expected to remember its results itself.

    Raises:
        AvnasError: The file was written for another space.

    Attributes:
        judged: Every answer so far, in order.
        seconds: Time spent in `score_many`, in former runs as well.
    """

    def __init__(
        self,
        space: SearchSpace,
        file: Path,
        score_many: Callable[[Sequence[Architecture]], Sequence[float]],
        train_one: Callable[[Architecture], float],
    ) -> None:
        self.space = space
        self.file = file
        self._score_many = score_many
        self._train_one = train_one
        self.judged: list[Judged] = []
        self.seconds = 0.0
        self._rounds = 0
        self._known: dict[str, float] = {}
        if file.exists():
            kept = read_json(file)
            if kept.get("space") != space.to_dict():
                raise AvnasError(f"{file}: scores of another search space; give another --out, or --overwrite")
            self.seconds, self._known = kept["seconds"], kept["scores"]

    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """mAP@100 `retrieved` of each on val, with the supernet's weights."""
        keys = [self._key(architecture) for architecture in architectures]
        new = {
            key: architecture for key, architecture in zip(keys, architectures, strict=True) if key not in self._known
        }
        waiting = list(new.items())
        for start in range(0, len(waiting), BLOCK):
            self._add(dict(waiting[start : start + BLOCK]))
        scores = [self._known[key] for key in keys]
        self._note("shared", architectures, scores)
        self._rounds += 1
        return scores

    def train(self, architecture: Architecture) -> float:
        """mAP@100 `retrieved` on val of an architecture that is trained alone, from fresh weights."""
        score = self._train_one(architecture)
        self._note("own", [architecture], [score])
        return score

    def _note(self, weights: str, architectures: Sequence[Architecture], scores: Sequence[float]) -> None:
        pairs = zip(architectures, scores, strict=True)
        self.judged += [Judged(self._rounds, weights, score, architecture) for architecture, score in pairs]

    def _add(self, waiting: dict[str, Architecture]) -> None:
        started = time.perf_counter()
        scores = self._score_many(list(waiting.values()))
        self.seconds += time.perf_counter() - started
        self._known |= dict(zip(waiting, map(float, scores), strict=True))
        if rank() == 0:
            write_json(self.file, {"space": self.space.to_dict(), "seconds": self.seconds, "scores": self._known})
            best = max(self._known.values())
            Console(stderr=True).print(
                f"{len(self._known)} architectures scored, best {best:.4f}", highlight=False, soft_wrap=True
            )

    def _key(self, architecture: Architecture) -> str:
        indices = self.space.indices(architecture)
        return "-".join(str(indices[cell.name]) for cell in self.space.cells)
