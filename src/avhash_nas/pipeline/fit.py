"""The whole way: search -> prune -> fine-tune -> test (paper, section 4.3)."""

from dataclasses import dataclass
from typing import Any

from avhash_nas.data import EXTRACTION_FILE, read_extraction
from avhash_nas.distributed import rank
from avhash_nas.files import write_json
from avhash_nas.legacy import existing
from avhash_nas.networks import AudioVisualNetwork, HashNetwork, prune
from avhash_nas.pipeline.evaluate import evaluate_network, inference_seconds, nest, reference_scores
from avhash_nas.pipeline.evaluator import CachedEvaluator, Candidates, plain_stage, train_plain
from avhash_nas.pipeline.plan import SCORE, Plan
from avhash_nas.pipeline.run_folder import RunFolder
from avhash_nas.random_streams import StageKey, seeded, stage_seed
from avhash_nas.training.checkpoint import StopRequest, stop_requests
from avhash_nas.training.code_collector import KeepTestCodes
from avhash_nas.training.module import HashingModule
from avhash_nas.training.search_log import write_evaluations
from avhash_nas.training.stage import Stage, StageResult
from avhash_nas.versions import versions


@dataclass(frozen=True)
class Searched:
    """What a search leaves.

    Attributes:
        network: The plain network.
        finetune: The stage that trains it further; finished already where the strategy has trained candidates alone.
        metrics: What `metrics.json` says of the search.
    """

    network: AudioVisualNetwork
    finetune: Stage
    metrics: dict[str, Any]


def search(plan: Plan, supernet: AudioVisualNetwork, folder: RunFolder, stop: StopRequest) -> Searched:
    """Train the supernet, let the strategy choose, prune."""
    strategy = plan.strategy
    module = HashingModule(
        supernet, plan.objective, plan.search, plan.augmentation, seed=stage_seed(plan.seed, StageKey.SEARCH)
    )
    strategy.setup_search(supernet.space, plan.seed)
    module.attach(strategy.architecture, strategy.parameter_groups())
    trained = _train(plan, module, folder, stop) if strategy.uses_supernet else None
    candidates = Candidates(plan, supernet, folder, stop)
    file = existing(folder.stage("search") / "evaluator.json")
    evaluator = CachedEvaluator(supernet.space, file, candidates.score, candidates.train)
    validated = strategy.derive()  # what the kept epoch's validation has scored
    strategy.search(evaluator)
    architecture = strategy.derive()
    if rank() == 0:
        write_json(folder.architecture, architecture.to_dict())
        if evaluator.evaluations:
            write_evaluations(file.with_name("evaluations.csv"), evaluator.evaluations)
    seconds = evaluator.seconds + candidates.seconds
    metrics = {"strategy": type(strategy).__name__, "search": strategy.report()}
    if trained is None:
        metrics |= {"time": {"search_s": seconds}, "epochs": {}}
        finetune = candidates.stage(architecture)
    else:
        metrics |= _of_supernet(trained, seconds)
        known = nest(trained.best, "val/derived/") if architecture == validated else {}
        metrics["derived"] = known or {"map@100": candidates.score_fully(architecture)}
        finetune = plain_stage("finetune", folder, "finetune")
    with seeded(plan.seed):
        network = prune(supernet, architecture, inherit=trained is not None and not plan.from_scratch)
    return Searched(network, finetune, metrics)


def _train(plan: Plan, module: HashingModule, folder: RunFolder, stop: StopRequest) -> StageResult:
    strategy = plan.strategy
    shown = tuple(f"val/{name}/{SCORE}" for name in ("supernet", "derived"))
    monitor = None if strategy.monitor is None else f"val/{strategy.monitor}/{SCORE}"
    stage = Stage("search", folder.stage("search"), monitor, shown)
    return stage.run(module, plan.data, plan.make_trainer, strategy, stop)


def _of_supernet(trained: StageResult, seconds: float) -> dict[str, Any]:
    """The supernet's own score is that of its best epoch, whichever was kept: no discretization gap is hidden."""
    scored = nest(trained.peaks, "val/supernet/")  # nothing where no evaluation route has that name
    return {
        **({"supernet": scored} if scored else {}),
        "time": {"supernet_epoch_s": trained.epoch_seconds, "search_s": seconds},
        "epochs": {"search": trained.epochs, "search_best": int(trained.best["epoch"])},
    }


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
        stage = plain_stage("finetune", folder, "finetune")
        of_search: dict[str, Any] = {"strategy": None, "time": {}, "epochs": {}}
        if isinstance(network, AudioVisualNetwork) and network.space.choices:
            searched = search(plan, network, folder, stop)
            network, stage, of_search = searched.network, searched.finetune, searched.metrics
        tuned = train_plain(plan, network, stage, stop)
        return _test(plan, network, of_search, tuned, folder)


def _test(
    plan: Plan, network: HashNetwork, of_search: dict[str, Any], tuned: StageResult, folder: RunFolder
) -> dict[str, Any]:
    extraction = read_extraction(plan.data.root)
    if rank() == 0:
        network.save_pretrained(folder.model)
        if extraction is not None:
            write_json(folder.model / EXTRACTION_FILE, extraction)
    kept = KeepTestCodes()
    trainer = plan.make_trainer(max_epochs=1, callbacks=[kept], folder_of_stage=folder.path)
    scores = evaluate_network(network, plan.data, trainer)
    tuning_time = {"train_epoch_s": tuned.epoch_seconds, "inference_12500_s": inference_seconds(network, plan.data)}
    metrics: dict[str, Any] = {
        **of_search,
        "network": type(network).__name__,
        "bits": network.bits,
        "seed": plan.seed,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "parameters_of_training_only": tuned.training_only,
        "test": scores.to_dict(),
        "val": nest(tuned.best, "val/"),
        **reference_scores(plan.data, network.bits, plan.seed),
        "time": of_search["time"] | tuning_time,
        "epochs": of_search["epochs"] | {"finetune": tuned.epochs, "best": int(tuned.best["epoch"])},
        "versions": versions(),
    }
    if trainer.is_global_zero:
        for role, codes in kept.code_sets(network, plan.data).items():
            codes.save(folder.codes / f"{role}.npz")
        write_json(folder.path / "curves.json", scores.curves_to_dict())
        folder.write_metrics(metrics)
    trainer.strategy.barrier()
    return metrics
