"""The whole way: search -> prune -> fine-tune -> test (paper, section 4.3)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from avhash_nas.data import HashingData
from avhash_nas.networks import AudioVisualNetwork, HashNetwork, prune
from avhash_nas.objectives import Objective
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.evaluate import evaluate_network, inference_seconds, nest, yardsticks
from avhash_nas.training.files import write_json
from avhash_nas.training.interrupt import StopRequest, stop_requests
from avhash_nas.training.module import HashingModule
from avhash_nas.training.recipe import Recipe
from avhash_nas.training.run_folder import RunFolder, rank
from avhash_nas.training.seed import seeded
from avhash_nas.training.stage import Stage, StageResult, TrainerFactory
from avhash_nas.training.versions import versions

SCORE = "map@100_retrieved"
"""What selects an epoch: mAP@100, divided by the hits within the first 100, as in the paper's tables."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a run computes, built and ready.

    Attributes:
        data: The data set, opened.
        make_network: Builds the network; called with the random numbers seeded.
        objective: The loss of both stages.
        search: How the supernet is trained.
        finetune: How the pruned network, or one without choices, is trained.
        augmentation: Of training batches, in both stages.
        strategy: Finds the architecture; not used by a network without choices.
        make_trainer: Makes a stage's Trainer.
        seed: For initialisation, sampling, dropout and augmentation.
        from_scratch: Fine-tune from a fresh initialisation instead of the supernet's weights.
    """

    data: HashingData
    make_network: Callable[[], HashNetwork]
    objective: Objective
    search: Recipe
    finetune: Recipe
    augmentation: Augmentation | None
    strategy: SearchStrategy
    make_trainer: TrainerFactory
    seed: int
    from_scratch: bool = False


@dataclass(frozen=True)
class Searched:
    """How a search went.

    Attributes:
        stage: Of the supernet's training.
        seconds: What it took, after that, to choose the architecture.
    """

    stage: StageResult
    seconds: float


def fit(plan: Plan, folder: RunFolder) -> dict[str, Any]:
    """Go through every stage that is not finished yet.

    Each stage leaves its result in the folder whole or not at all. Val selects; test is read once, at the end.

    Returns:
        What `metrics.json` holds.

    Raises:
        Interrupted: Stopped by a signal; the same call goes on.
    """
    if folder.finished:
        return folder.read_metrics()
    with stop_requests() as stop:
        with seeded(plan.seed):
            network = plan.make_network()
        folder.begin()
        searched: Searched | None = None
        if isinstance(network, AudioVisualNetwork) and network.space.choices:
            network, searched = _search(plan, network, folder, stop)
        tuned = _finetune(plan, network, folder, stop)
        return _test(plan, network, searched, tuned, folder)


def _search(
    plan: Plan, supernet: AudioVisualNetwork, folder: RunFolder, stop: StopRequest
) -> tuple[AudioVisualNetwork, Searched]:
    """Search, prune: the plain network, and how the search went."""
    strategy = plan.strategy
    module = HashingModule(supernet, plan.objective, plan.search, plan.augmentation, seed=_stage_seed(plan.seed, 0))
    strategy.begin(supernet.space, plan.seed)
    module.attach(strategy.architecture, strategy.parameter_groups())
    names = {name: f"val/{name}/{SCORE}" for name in ("supernet", "derived")}
    stage = Stage("search", folder.stage("search"), f"val/{strategy.selects}/{SCORE}", tuple(names.values()))
    result = stage.run(module, plan.data, plan.make_trainer, strategy, stop)
    started = time.perf_counter()
    architecture = strategy.derive()
    search_seconds = time.perf_counter() - started
    if rank() == 0:
        write_json(folder.architecture, architecture.to_dict())
    with seeded(plan.seed):
        plain = prune(supernet, architecture, inherit=not plan.from_scratch)
    return plain, Searched(result, search_seconds)


def _finetune(plan: Plan, network: HashNetwork, folder: RunFolder, stop: StopRequest) -> StageResult:
    module = HashingModule(network, plan.objective, plan.finetune, plan.augmentation, seed=_stage_seed(plan.seed, 1))
    stage = Stage("finetune", folder.stage("finetune"), f"val/{SCORE}", (f"val/{SCORE}",))
    return stage.run(module, plan.data, plan.make_trainer, None, stop)


def _test(
    plan: Plan, network: HashNetwork, searched: Searched | None, tuned: StageResult, folder: RunFolder
) -> dict[str, Any]:
    if rank() == 0:
        network.save_pretrained(folder.model)
    trainer = plan.make_trainer(max_epochs=1, callbacks=[], folder_of_stage=folder.path)
    scores = evaluate_network(network, plan.data, trainer)
    metrics: dict[str, Any] = {
        "strategy": type(plan.strategy).__name__.lower() if searched else None,
        "network": type(network).__name__,
        "bits": network.bits,
        "seed": plan.seed,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "test": scores.to_dict(),
        "val": nest(tuned.best, "val/"),
        **yardsticks(plan.data, network.bits, plan.seed),
        "time": {"train_epoch_s": tuned.epoch_seconds, "inference_12500_s": inference_seconds(network, plan.data)},
        "epochs": {"finetune": tuned.epochs, "best": int(tuned.best["epoch"])},
        "versions": versions(),
    }
    if searched:
        # Of the best epoch of the mixture, whichever epoch was kept for its derived network: no gap is hidden.
        metrics["supernet"] = nest(searched.stage.peaks, "val/supernet/")
        metrics["derived"] = nest(searched.stage.best, "val/derived/")
        metrics["time"] |= {"supernet_epoch_s": searched.stage.epoch_seconds, "search_s": searched.seconds}
        metrics["epochs"] |= {"search": searched.stage.epochs, "search_best": int(searched.stage.best["epoch"])}
    if trainer.is_global_zero:
        write_json(folder.path / "curves.json", scores.curves_to_dict())
        folder.write_metrics(metrics)
    trainer.strategy.barrier()
    return metrics


def _stage_seed(seed: int, stage: int) -> int:
    """A seed of its own for each stage."""
    return int(np.random.SeedSequence((seed, stage)).generate_state(1)[0])
