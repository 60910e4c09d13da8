"""The full pipeline: search -> prune -> fine-tune -> test (paper, section 4.3)."""

from dataclasses import dataclass
from typing import Any

from avhash_nas.data import EXTRACTION_FILE, TEXT_ENCODER_FILE, read_extraction
from avhash_nas.distributed import rank
from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json, write_json
from avhash_nas.legacy import existing
from avhash_nas.networks import SearchableNetwork, TextHashNetwork, VideoNetwork, prune
from avhash_nas.pipeline.evaluate import inference_seconds
from avhash_nas.pipeline.evaluator import CachedEvaluator, SupernetEvaluator
from avhash_nas.pipeline.plan import Plan
from avhash_nas.pipeline.run_folder import RunFolder
from avhash_nas.pipeline.task import Task
from avhash_nas.pipeline.train_network import network_stage, train_network
from avhash_nas.random_streams import StageKey, seeded, stage_seed
from avhash_nas.space import Architecture
from avhash_nas.training import Stage, StageResult, StopRequest, stop_requests, write_evaluations
from avhash_nas.training.text_scores import DEPTHS, FineWeights, text_scores
from avhash_nas.versions import versions


def fit(plan: Plan, folder: RunFolder) -> dict[str, Any]:
    """Run every stage that is not finished yet.

    Each stage writes its result to the folder atomically. Val selects; test is read once, at the end.

    Returns:
        Contents of `metrics.json`.

    Raises:
        Interrupted: Stopped by a signal; the same call resumes.
        AvnasError: The folder's run has seen other data.
    """
    folder.check_data(plan.data)
    if folder.finished:
        return folder.read_metrics()
    with stop_requests() as stop:
        with seeded(plan.seed):
            network = plan.make_network()
        plan.objective.check(network)
        plan.objective.check_data(plan.data)
        plan.task.module_class.check_augmentation(plan.augmentation)
        _check_data(plan, network)
        folder.start(plan.data)
        finetune = network_stage("finetune", folder.stage("finetune"), plan.task.score_of(network))
        search_metrics: dict[str, Any] = {"strategy": None, "time": {}, "epochs": {}}
        if isinstance(network, SearchableNetwork) and network.space.choices:
            result = search(plan, network, folder, stop)
            with seeded(plan.seed):
                network = prune(network, result.architecture, inherit=result.shared_weights and not plan.from_scratch)
            finetune, search_metrics = result.finetune, result.metrics
        tuned = train_network(plan, network, finetune, stop)
        return test(plan, network, search_metrics, tuned, folder)


def _check_data(plan: Plan, network: VideoNetwork) -> None:
    """Refuse a dataset that lacks what the network reads, or what selects epochs and architectures.

    Raises:
        AvnasError: It lacks a modality or a val list.
    """
    dims = {"visual": plan.data.visual_dim, "audio": plan.data.audio_dim}
    if lacking := [modality for modality in network.modalities if not dims[modality]]:
        other = next(modality for modality in dims if modality not in lacking)
        raise AvnasError(
            f"{plan.data.root}: has no {lacking[0]} features, which {type(network).__name__} reads; take a network "
            f"with --network.modality={other}, or a space whose encoders are all {other}"
        )
    if "val" in plan.data.splits:
        return
    if isinstance(network, SearchableNetwork) and network.space.choices:
        raise AvnasError(f"{plan.data.root}: has no val list, by which a search selects; name one in dataset.yaml")
    if plan.finetune.keep != "last" or plan.finetune.average:
        option = "keep" if plan.finetune.keep != "last" else "average"
        value = {"keep": "last", "average": 0}[option]
        raise AvnasError(f"{plan.data.root}: has no val list to score epochs on; give --finetune.{option}={value}")


@dataclass(frozen=True)
class SearchResult:
    """Result of a search.

    Attributes:
        architecture: The derived architecture.
        shared_weights: Whether the supernet holds trained weights.
        finetune: The stage that fine-tunes it; already finished if the strategy has trained candidates alone.
        metrics: The part of `metrics.json` about the search.
    """

    architecture: Architecture
    shared_weights: bool
    finetune: Stage
    metrics: dict[str, Any]


def search(plan: Plan, supernet: SearchableNetwork, folder: RunFolder, stop: StopRequest) -> SearchResult:
    """Train the supernet and let the strategy search."""
    strategy = plan.strategy
    strategy.setup_search(supernet.space, plan.seed)
    trained = train_supernet(plan, supernet, folder, stop) if strategy.uses_supernet else None
    evaluator = SupernetEvaluator(plan, supernet, folder, stop)
    file = existing(folder.stage("search") / "evaluator.json")
    cached = CachedEvaluator(evaluator, supernet.space, file)
    validated = strategy.derive()  # the one that the kept epoch's validation has scored
    strategy.search(cached)
    architecture = strategy.derive()
    if rank() == 0:
        write_json(folder.architecture, architecture.to_dict())
        if cached.evaluations:
            write_evaluations(file.with_name("evaluations.csv"), cached.evaluations)
    seconds = cached.scoring_seconds + evaluator.training_seconds
    metrics = {"strategy": type(strategy).__name__, "search": strategy.report()}
    if trained is None:
        metrics |= {"time": {"search_s": seconds}, "epochs": {}}
        return SearchResult(architecture, False, evaluator.stage(architecture), metrics)
    metrics |= _supernet_metrics(plan.task, trained, seconds)
    known = plan.task.logged(trained.best, "val/derived/") if architecture == validated else {}
    metrics["derived"] = known or evaluator.score_fully(architecture)
    finetune = network_stage("finetune", folder.stage("finetune"), plan.task.score)
    return SearchResult(architecture, True, finetune, metrics)


def train_supernet(plan: Plan, supernet: SearchableNetwork, folder: RunFolder, stop: StopRequest) -> StageResult:
    """Train the supernet's weights as the strategy asks; both hold the state that was kept afterwards."""
    strategy, score = plan.strategy, plan.task.score
    shown = tuple(f"val/{name}/{score}" for name in ("supernet", "derived"))
    monitor = None if strategy.monitor is None else f"val/{strategy.monitor}/{score}"
    stage = Stage("search", folder.stage("search"), monitor, shown)
    module = plan.task.module_class(
        supernet,
        plan.objective,
        plan.search,
        plan.augmentation,
        seed=stage_seed(plan.seed, StageKey.SEARCH),
        strategy=strategy,
        prepared_file=stage.prepared_file,
        stop_point=stop.stop_point,
    )
    return stage.run(module, plan.data, plan.make_trainer, stop)


def _supernet_metrics(task: Task, trained: StageResult, seconds: float) -> dict[str, Any]:
    """The supernet's score is that of its best epoch, whichever epoch was kept, to show the discretization gap."""
    scores = task.logged(trained.peaks, "val/supernet/")  # empty if no evaluation route has that name
    return {
        **({"supernet": scores} if scores else {}),
        "time": {"supernet_epoch_s": trained.epoch_seconds, "search_s": seconds},
        "epochs": {"search": trained.epochs, "search_best": int(trained.best["epoch"])},
    }


def test(
    plan: Plan, network: VideoNetwork, search_metrics: dict[str, Any], tuned: StageResult, folder: RunFolder
) -> dict[str, Any]:
    """Save the network, test it, and finish the run by `metrics.json`."""
    extraction = read_extraction(plan.data.root)
    if rank() == 0:
        network.save_pretrained(folder.model)
        if extraction is not None:
            write_json(folder.model / EXTRACTION_FILE, extraction)
        if isinstance(network, TextHashNetwork) and plan.data.captions is not None:
            write_json(folder.model / TEXT_ENCODER_FILE, dict(plan.data.captions.encoder or {}))
    task = plan.task
    tested = task.test(
        network,
        plan.data,
        lambda callbacks: plan.make_trainer(max_epochs=1, callbacks=[*callbacks], folder_of_stage=folder.path),
    )
    inference = inference_seconds(network, plan.data, task.run_once)
    times = {"train_epoch_s": tuned.epoch_seconds, "inference_12500_s": inference}
    metrics: dict[str, Any] = {
        **search_metrics,
        "network": type(network).__name__,
        **task.describe(network),
        "seed": plan.seed,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "parameters_of_training_only": tuned.training_only,
        "test": tested.scores,
        **({"val": validated} if (validated := task.logged(tuned.best, "val/")) else {}),
        **task.references(network, plan.data, plan.seed),
        "time": search_metrics["time"] | times,
        "epochs": search_metrics["epochs"] | {"finetune": tuned.epochs, "best": int(tuned.best["epoch"])},
        "versions": versions(),
        **({"data": read_json(folder.data)["digest"]} if folder.data.exists() else {}),
    }
    if tested.trainer.is_global_zero:
        if isinstance(network, TextHashNetwork):
            weights = FineWeights.trained_by(plan.objective)
            metrics["text"] = text_scores(network, plan.data, depths=DEPTHS, weights=weights, seed=plan.seed)
        tested.write(folder)
        folder.write_metrics(metrics)
    tested.trainer.strategy.barrier()
    return metrics
