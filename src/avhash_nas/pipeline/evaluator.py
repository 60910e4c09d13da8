"""Evaluators of a search: architectures scored with the supernet's weights, or trained alone."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from typing_extensions import override

from avhash_nas.distributed import rank
from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json, write_json
from avhash_nas.networks import SearchableNetwork, prune
from avhash_nas.pipeline.architecture_scorer import Scoring
from avhash_nas.pipeline.plan import Plan
from avhash_nas.pipeline.run_folder import RunFolder
from avhash_nas.pipeline.task import Scores
from avhash_nas.pipeline.train_network import network_stage, train_network
from avhash_nas.random_streams import seeded
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies import Evaluator
from avhash_nas.training import EvaluatedArchitecture, Stage, StopRequest


class SupernetEvaluator(Evaluator):
    """Scores architectures with a run's supernet, and trains them alone by the fine-tuning recipe.

    Ranks share the architectures that are scored, and train each one together.

    Args:
        plan: Of the run.
        supernet: Its weights score.
        folder: Of the run; an architecture that is trained alone gets a folder in `candidates`.
        stop: Stop request.

    Attributes:
        training_seconds: Time that the trainings took, including interrupted runs of the command.
    """

    def __init__(self, plan: Plan, supernet: SearchableNetwork, folder: RunFolder, stop: StopRequest) -> None:
        self.plan = plan
        self.supernet = supernet
        self.folder = folder
        self.stop = stop
        self.training_seconds = 0.0

    @override
    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """The score on val that selects, of each, on as many videos as the run's options set."""
        return [self.plan.task.main(scores) for scores in self._scores(architectures, self.plan.scoring)]

    def score_fully(self, architecture: Architecture) -> Scores:
        """Every score, on all of val."""
        return self._scores([architecture], Scoring())[0]

    @override
    def train(self, architecture: Architecture) -> float:
        """The score on val that selects, in the best epoch of training it alone from fresh weights."""
        stage = self.stage(architecture)
        if rank() == 0:
            write_json(stage.folder / "architecture.json", architecture.to_dict())
        with seeded(self.plan.seed):
            network = prune(self.supernet, architecture, inherit=False)
        result = train_network(self.plan, network, stage, self.stop)
        self.training_seconds += result.epochs * result.epoch_seconds
        return result.best[f"val/{self.plan.task.score}"]

    def stage(self, architecture: Architecture) -> Stage:
        """The stage that trains an architecture alone."""
        folder = self.folder.stage(f"candidates/{short_name(architecture)}")
        return network_stage("candidate", folder, self.plan.task.score)

    def _scores(self, architectures: Sequence[Architecture], scoring: Scoring) -> list[Scores]:
        trainer = self.plan.make_trainer(max_epochs=1, callbacks=[], folder_of_stage=self.folder.path)
        device = trainer.strategy.root_device
        return self.plan.task.score_architectures(self.supernet, self.plan.data, scoring, device, architectures)


def short_name(architecture: Architecture) -> str:
    """A name for the folder of an architecture: the first ten hexadecimal digits of a hash of its cells."""
    text = ",".join(f"{cell}={candidate}" for cell, candidate in sorted(architecture.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


BLOCK = 100
"""Maximal number of architectures that are scored between two writes of the file."""


class CachedEvaluator(Evaluator):
    """Another evaluator's results, on disk: after an interruption nothing is scored twice.

    Args:
        evaluator: Computes new results. Results of its `train` are not cached here.
        space: The space of the architectures.
        file: JSON file of the scores.

    Raises:
        AvnasError: The file was written for another space.

    Attributes:
        evaluations: Every result so far, in order.
        scoring_seconds: Time spent in the other evaluator's `scores`, including interrupted runs of the command.
    """

    def __init__(self, evaluator: Evaluator, space: SearchSpace, file: Path) -> None:
        self.evaluator = evaluator
        self.space = space
        self.file = file
        self.evaluations: list[EvaluatedArchitecture] = []
        self.scoring_seconds = 0.0
        self._rounds = 0
        self._scores: dict[str, float] = {}
        if file.exists():
            saved = read_json(file)
            if saved.get("space") != space.to_dict():
                raise AvnasError(f"{file}: scores of another search space; give another --out, or --overwrite")
            self.scoring_seconds, self._scores = saved["seconds"], saved["scores"]

    @override
    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        keys = [self._key(architecture) for architecture in architectures]
        unknown = {key: each for key, each in zip(keys, architectures, strict=True) if key not in self._scores}
        waiting = list(unknown.items())
        for start in range(0, len(waiting), BLOCK):
            self._add(dict(waiting[start : start + BLOCK]))
        scores = [self._scores[key] for key in keys]
        self._record("shared", architectures, scores)
        self._rounds += 1
        return scores

    @override
    def train(self, architecture: Architecture) -> float:
        score = self.evaluator.train(architecture)
        self._record("own", [architecture], [score])
        return score

    def _record(self, weights: str, architectures: Sequence[Architecture], scores: Sequence[float]) -> None:
        self.evaluations += [
            EvaluatedArchitecture(self._rounds, weights, score, architecture)
            for architecture, score in zip(architectures, scores, strict=True)
        ]

    def _add(self, waiting: dict[str, Architecture]) -> None:
        started = time.perf_counter()
        scores = self.evaluator.scores(list(waiting.values()))
        self.scoring_seconds += time.perf_counter() - started
        self._scores |= dict(zip(waiting, map(float, scores), strict=True))
        if rank() == 0:
            contents = {"space": self.space.to_dict(), "seconds": self.scoring_seconds, "scores": self._scores}
            write_json(self.file, contents)
            text = f"{len(self._scores)} architectures scored, best {max(self._scores.values()):.4f}"
            Console(stderr=True).print(text, highlight=False, soft_wrap=True)

    def _key(self, architecture: Architecture) -> str:
        indices = self.space.indices(architecture)
        return "-".join(str(indices[cell.name]) for cell in self.space.cells)
