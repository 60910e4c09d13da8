"""Training of a network without choices: fine-tuning, and architectures that are trained alone."""

import copy
from dataclasses import replace
from pathlib import Path

from avhash_nas.networks import VideoNetwork
from avhash_nas.pipeline.plan import Plan
from avhash_nas.random_streams import StageKey, stage_seed
from avhash_nas.training import Stage, StageResult, StopRequest


def network_stage(name: str, folder: Path, score: str) -> Stage:
    """A stage that trains a network without choices, and keeps its best epoch.

    Args:
        name: Of the stage.
        folder: Of the stage.
        score: Logged name of the score that selects.
    """
    return Stage(name, folder, f"val/{score}", (f"val/{score}",))


def train_network(plan: Plan, network: VideoNetwork, stage: Stage, stop: StopRequest) -> StageResult:
    """Train a network without choices by the fine-tuning recipe; it holds the best state afterwards.

    If the objective has a pretraining, a copy of the network is pretrained first, in the stage's folder, by the same
    recipe and from the same start; its last state is kept.
    """
    seed, pretrained = stage_seed(plan.seed, StageKey.PLAIN), None
    if (objective := plan.objective.pretraining()) is not None:
        recipe = replace(plan.finetune, keep="last", patience=0)
        before = Stage("pretrain", stage.folder / "pretrain", None, stage.shown)
        pretrained = copy.deepcopy(network)
        module = plan.task.module_class(
            pretrained, objective, recipe, plan.augmentation, seed=seed, prepared_file=before.prepared_file
        )
        before.run(module, plan.data, plan.make_trainer, stop)
    module = plan.task.module_class(
        network,
        plan.objective,
        plan.finetune,
        plan.augmentation,
        seed=seed,
        prepared_file=stage.prepared_file,
        pretrained=pretrained,
    )
    return stage.run(module, plan.data, plan.make_trainer, stop)
