"""From a supernet to a plain network: train, choose, prune (paper, section 4.3, stages 1 and 2)."""

from dataclasses import dataclass
from typing import Any

from avhash_nas.files import write_json
from avhash_nas.networks import AudioVisualNetwork, prune
from avhash_nas.training.candidates import Candidates, plain_stage
from avhash_nas.training.choices import write_judged
from avhash_nas.training.evaluate import nest
from avhash_nas.training.interrupt import StopRequest
from avhash_nas.training.judge import RememberingJudge
from avhash_nas.training.module import HashingModule
from avhash_nas.training.plan import SCORE, Plan
from avhash_nas.training.run_folder import RunFolder, rank
from avhash_nas.training.seed import seeded, stage_seed
from avhash_nas.training.stage import Stage, StageResult


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
    module = HashingModule(supernet, plan.objective, plan.search, plan.augmentation, seed=stage_seed(plan.seed, 0))
    strategy.begin(supernet.space, plan.seed)
    module.attach(strategy.architecture, strategy.parameter_groups())
    trained = _train(plan, module, folder, stop) if strategy.trains_supernet else None
    candidates = Candidates(plan, supernet, folder, stop)
    file = folder.stage("search") / "scores.json"
    judge = RememberingJudge(supernet.space, file, candidates.score, candidates.train)
    validated = strategy.derive()  # what the kept epoch's validation has scored
    strategy.choose(judge)
    architecture = strategy.derive()
    if rank() == 0:
        write_json(folder.architecture, architecture.to_dict())
        if judge.judged:
            write_judged(file.with_name("judged.csv"), judge.judged)
    seconds = judge.seconds + candidates.seconds
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
    monitor = None if strategy.selects is None else f"val/{strategy.selects}/{SCORE}"
    stage = Stage("search", folder.stage("search"), monitor, shown)
    return stage.run(module, plan.data, plan.make_trainer, strategy, stop)


def _of_supernet(trained: StageResult, seconds: float) -> dict[str, Any]:
    """The supernet's own score is that of its best epoch, whichever was kept: no discretisation gap is hidden."""
    scored = nest(trained.peaks, "val/supernet/")  # nothing where no evaluation route has that name
    return {
        **({"supernet": scored} if scored else {}),
        "time": {"supernet_epoch_s": trained.epoch_seconds, "search_s": seconds},
        "epochs": {"search": trained.epochs, "search_best": int(trained.best["epoch"])},
    }
