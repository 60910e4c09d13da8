"""The whole way: search -> prune -> fine-tune -> test (paper, section 4.3)."""

from typing import Any

from avhash_nas.data import EXTRACTION_FILE, read_extraction
from avhash_nas.files import write_json
from avhash_nas.networks import AudioVisualNetwork, HashNetwork
from avhash_nas.training.candidates import plain_stage, train_plain
from avhash_nas.training.code_collector import KeepTestCodes
from avhash_nas.training.evaluate import evaluate_network, inference_seconds, nest, yardsticks
from avhash_nas.training.interrupt import stop_requests
from avhash_nas.training.plan import Plan
from avhash_nas.training.run_folder import RunFolder, rank
from avhash_nas.training.search import search
from avhash_nas.training.seed import seeded
from avhash_nas.training.stage import StageResult
from avhash_nas.training.versions import versions


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
        **yardsticks(plan.data, network.bits, plan.seed),
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
