"""The architectures of a run that are scored or trained before one of them is chosen."""

import copy
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from avhash_nas.distributed import rank
from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json, write_json
from avhash_nas.networks import AudioVisualNetwork, HashNetwork, prune
from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring
from avhash_nas.pipeline.plan import SCORE, Plan
from avhash_nas.pipeline.run_folder import RunFolder
from avhash_nas.random_streams import StageKey, seeded, stage_seed
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.training.checkpoint import StopRequest
from avhash_nas.training.module import HashingModule
from avhash_nas.training.search_log import EvaluatedArchitecture
from avhash_nas.training.stage import Stage, StageResult


class Candidates:
    """Scores architectures with a run's supernet, and trains them alone with its recipe.

    Ranks share the architectures that are scored, and train each one together.

    Args:
        plan: Of the run.
        supernet: Its weights score.
        folder: Of the run; an architecture that is trained alone gets a folder in `candidates`.
        stop: Signals that ask to stop.

    Attributes:
        seconds: Time that the trainings took, those of former runs of this command included.
    """

    def __init__(self, plan: Plan, supernet: AudioVisualNetwork, folder: RunFolder, stop: StopRequest) -> None:
        self.plan = plan
        self.supernet = supernet
        self.folder = folder
        self.stop = stop
        self.seconds = 0.0

    def score(self, architectures: Sequence[Architecture]) -> list[float]:
        """mAP@100 `retrieved` on val of each, on as many videos as the run's options say."""
        return [scores["retrieved"] for scores in self._scores(architectures, self.plan.scoring)]

    def score_fully(self, architecture: Architecture) -> dict[str, float]:
        """mAP@100 in every normalization, on all of val."""
        return self._scores([architecture], Scoring())[0]

    def train(self, architecture: Architecture) -> float:
        """mAP@100 `retrieved` on val, in the best epoch of training it alone from fresh weights."""
        plan = self.plan
        stage = self.stage(architecture)
        if rank() == 0:
            write_json(stage.folder / "architecture.json", architecture.to_dict())
        with seeded(plan.seed):
            network = prune(self.supernet, architecture, inherit=False)
        result = train_plain(plan, network, stage, self.stop)
        self.seconds += result.epochs * result.epoch_seconds
        return result.best[f"val/{SCORE}"]

    def stage(self, architecture: Architecture) -> Stage:
        """The stage that trains an architecture alone."""
        return plain_stage("candidate", self.folder, f"candidates/{short_name(architecture)}")

    def _scores(self, architectures: Sequence[Architecture], scoring: Scoring) -> list[dict[str, float]]:
        trainer = self.plan.make_trainer(max_epochs=1, callbacks=[], folder_of_stage=self.folder.path)
        device = trainer.strategy.root_device
        scorer = ArchitectureScorer(self.supernet, self.plan.data, scoring, device)
        return scorer.scores(architectures)


def plain_stage(name: str, folder: RunFolder, where: str) -> Stage:
    """A stage that trains a network without choices, and keeps its best epoch."""
    return Stage(name, folder.stage(where), f"val/{SCORE}", (f"val/{SCORE}",))


def train_plain(plan: Plan, network: HashNetwork, stage: Stage, stop: StopRequest) -> StageResult:
    """Train a network without choices by the recipe of fine-tuning; it holds the best state afterwards.

    An objective with a pretraining first trains a copy in the stage's folder, by the same recipe, from the same
    start, whose last state is kept.
    """
    seed = stage_seed(plan.seed, StageKey.PLAIN)
    module = HashingModule(network, plan.objective, plan.finetune, plan.augmentation, seed=seed)
    if (objective := plan.objective.pretraining()) is not None:
        recipe = replace(plan.finetune, keep="last", patience=0)
        before = HashingModule(copy.deepcopy(network), objective, recipe, plan.augmentation, seed=seed)
        Stage("pretrain", stage.folder / "pretrain", None, stage.shown).run(
            before, plan.data, plan.make_trainer, None, stop
        )
        module.prepared_from = before.network
    return stage.run(module, plan.data, plan.make_trainer, None, stop)


def short_name(architecture: Architecture) -> str:
    """A name for the folder of an architecture: the first ten hexadecimal digits of a hash of its cells."""
    text = ",".join(f"{cell}={candidate}" for cell, candidate in sorted(architecture.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


BLOCK = 100
"""Candidates that are scored between two writes of the file, at most."""


class CachedEvaluator:
    """A strategy's judge, whose answers lie on disk: after an interruption nothing is scored or trained twice.

    Args:
        space: The space of the architectures.
        file: JSON file that keeps the scores; it is made when there is one.
        score_many: Scores architectures with the supernet's weights.
        train_one: Trains an architecture alone and scores it; expected to remember its results itself.

    Raises:
        AvnasError: The file was written for another space.

    Attributes:
        evaluations: Every answer so far, in order.
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
        self.evaluations: list[EvaluatedArchitecture] = []
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
        self.evaluations += [
            EvaluatedArchitecture(self._rounds, weights, score, architecture) for architecture, score in pairs
        ]

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
