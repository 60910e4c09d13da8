"""The architectures of a run that are scored or trained before one of them is chosen."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace

from avhash_nas.files import write_json
from avhash_nas.networks import AudioVisualNetwork, HashNetwork, prune
from avhash_nas.space import Architecture
from avhash_nas.training.interrupt import StopRequest
from avhash_nas.training.module import HashingModule
from avhash_nas.training.plan import SCORE, Plan
from avhash_nas.training.run_folder import RunFolder, rank
from avhash_nas.training.scoring import ArchitectureScorer, Scoring
from avhash_nas.training.seed import seeded, stage_seed
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
        """mAP@100 in every normalisation, on all of val."""
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
    seed = stage_seed(plan.seed, 1)
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
