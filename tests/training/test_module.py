"""HashingModule and the callbacks of a stage, under a real Trainer."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from avhash_nas.baselines import MeanPoolMLP
from avhash_nas.data import ClassBalanced, HashingData
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.pipeline.evaluate import reference_scores
from avhash_nas.space import load_space
from avhash_nas.training import Augmentation, HashingModule, Recipe
from avhash_nas.training.callbacks import AveragedWeights, EpochLog, KeepBest
from avhash_nas.training.tensors import read_tensors
from training.tiny import avnas, epochs_of, metrics_of


@pytest.fixture
def data(tiny_data: Path, tiny_cache: Path) -> HashingData:
    return HashingData(tiny_data, cache_dir=tiny_cache, sampling=ClassBalanced(classes=4, videos=2)).prepare()


def mlp() -> MeanPoolMLP:
    torch.manual_seed(0)
    return MeanPoolMLP(8, 6, 16, hidden=8)


def fit(module: HashingModule, data: HashingData, *callbacks: Callback, epochs: int = 2) -> L.Trainer:
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    trainer.fit(module, datamodule=data)
    return trainer


def test_only_matrices_decay_and_the_body_has_its_own_rate() -> None:
    network = AudioVisualNetwork(8, 6, 16, load_space("arch-1"), width=8, heads=2, states=4)
    module = HashingModule(network, recipe=Recipe(lr=0.5, body_lr=0.125, weight_decay=0.25))
    optimizer = module.configure_optimizers()["optimizer"]
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    seen: dict[str, tuple[float, float]] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            assert name not in seen
            seen[name] = (group["initial_lr"], group["weight_decay"])
    assert set(seen) == set(names.values())
    for name, parameter in network.named_parameters():
        lr, decay = seen[name]
        assert lr == (0.5 if name.startswith("hash.") else 0.5 * 0.125), name
        plain = parameter.ndim < 2 or name.endswith(("A_log", "A1_log", "A2_log"))
        assert decay == (0.0 if plain else 0.25), name
    assert {"A_log", "A1_log", "A2_log"} <= {name.rpartition(".")[2] for name in seen}


class Losses(Callback):
    """Every batch's loss, and what the module logged at the end of the epoch."""

    def __init__(self) -> None:
        self.losses: list[list[float]] = []
        self.logged: list[float] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.losses.append([])

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any) -> None:
        self.losses[-1].append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.logged.append(float(trainer.callback_metrics["train/loss"]))


def test_the_logged_loss_is_the_mean_of_the_epoch(data: HashingData) -> None:
    losses = Losses()
    fit(HashingModule(mlp(), recipe=Recipe(epochs=2, lr=0.05)), data, losses)
    assert len(losses.losses[0]) > 1
    assert losses.logged == pytest.approx([sum(epoch) / len(epoch) for epoch in losses.losses])


class Drawn(Callback):
    """The first random number of every training step; spoils the generator everywhere else."""

    def __init__(self, spoil: int) -> None:
        self.spoil = spoil
        self.drawn: dict[tuple[int, int], float] = {}

    def on_before_zero_grad(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        self.drawn[trainer.current_epoch, trainer.fit_loop.batch_idx] = float(torch.rand(()))

    def on_train_batch_start(self, *_: Any) -> None:
        torch.rand(self.spoil)


def test_random_numbers_are_keyed_on_seed_epoch_and_batch(data: HashingData) -> None:
    def drawn(seed: int, spoil: int) -> dict[tuple[int, int], float]:
        watcher = Drawn(spoil)
        fit(HashingModule(mlp(), augmentation=Augmentation(noise=0.1), seed=seed), data, watcher)
        return watcher.drawn

    first = drawn(seed=3, spoil=1)
    assert first == drawn(seed=3, spoil=5)
    assert len(set(first.values())) == len(first) == 2 * 5
    assert not set(first.values()) & set(drawn(seed=4, spoil=1).values())


def test_validation_sees_every_step_and_no_noise(data: HashingData) -> None:
    shapes: list[torch.Size] = []

    class Watched(MeanPoolMLP):
        def forward(self, visual: torch.Tensor, audio: torch.Tensor, route: Any = None) -> torch.Tensor:
            shapes.append((self.training, visual.shape[1]))  # type: ignore[arg-type]
            return super().forward(visual, audio, route)

    fit(HashingModule(Watched(8, 6, 16, hidden=8), augmentation=Augmentation(frames=4)), data, epochs=1)
    assert set(shapes) == {(True, 4), (False, 9)}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.25, 0.5, 0.5, 0.375], 1),
        ([0.25, math.nan, 0.125], 0),
        ([math.nan, 0.125, math.nan], 1),
        ([0.5, 0.25], 0),
    ],
)
def test_the_first_of_equal_scores_is_kept_and_nan_never(scores: list[float], expected: int, tmp_path: Path) -> None:
    best = KeepBest(tmp_path, "val/score")
    for epoch, score in enumerate(scores):
        network, architecture = torch.nn.Linear(1, 1), torch.nn.Module()
        torch.nn.init.constant_(network.weight, epoch)
        trainer = SimpleNamespace(
            sanity_checking=False,
            callback_metrics={"val/score": torch.tensor(score)},
            current_epoch=epoch,
            is_global_zero=True,
        )
        best.on_validation_end(trainer, SimpleNamespace(network=network, architecture=architecture))  # type: ignore[arg-type]
    assert best.best["epoch"] == expected
    state = read_tensors(tmp_path / "best.pt")
    assert float(state["network"]["weight"]) == expected
    assert state["best"] == best.best


def test_without_a_score_nothing_is_kept(tmp_path: Path) -> None:
    best = KeepBest(tmp_path, "val/score")
    for metrics in ({}, {"val/score": torch.tensor(math.nan)}):
        trainer = SimpleNamespace(sanity_checking=False, callback_metrics=metrics, current_epoch=0, is_global_zero=True)
        best.on_validation_end(trainer, SimpleNamespace())  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


class Weights(Callback):
    """The training weights after every step, and those that a validation scores."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []
        self.scored: list[torch.Tensor] = []
        self.next: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self.next.append(pl_module.network.layers[1].weight.detach().clone())  # type: ignore[index,union-attr]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self.steps.append(pl_module.network.layers[1].weight.detach().clone())  # type: ignore[index,union-attr]

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self.scored.append(pl_module.network.layers[1].weight.detach().clone())  # type: ignore[index,union-attr]


def test_the_average_is_scored_and_kept_and_training_goes_on_without_it(data: HashingData, tmp_path: Path) -> None:
    decay, weights, best = 0.75, Weights(), KeepBest(tmp_path, "val/map@100_retrieved")
    module = HashingModule(mlp(), recipe=Recipe(lr=0.05))
    fit(module, data, weights, best, AveragedWeights(decay), epochs=1)
    average = weights.steps[0]
    for step in weights.steps[1:]:
        average = decay * average + (1 - decay) * step
    assert not torch.allclose(average, weights.steps[-1], atol=1e-3)
    torch.testing.assert_close(weights.scored[0], average)
    torch.testing.assert_close(read_tensors(tmp_path / "best.pt")["network"]["layers.1.weight"], average)


def test_the_training_weights_come_back_behind_a_validation(data: HashingData, tmp_path: Path) -> None:
    weights = Weights()
    best = KeepBest(tmp_path, "val/map@100_retrieved")
    fit(HashingModule(mlp(), recipe=Recipe(lr=0.05)), data, weights, best, AveragedWeights(0.9), epochs=2)
    for before, after in zip(weights.steps[:-1], weights.next[1:], strict=True):
        assert torch.equal(before, after)


def test_reference_scores_need_no_training_and_are_repeatable(data: HashingData) -> None:
    one, again, other = reference_scores(data, 16, 0), reference_scores(data, 16, 0), reference_scores(data, 16, 1)
    assert one == again
    assert one["chance"] == other["chance"]
    assert one["random_projection"] != other["random_projection"]
    relevant = [len(data.splits[data.database]) / data.classes / len(data.splits[data.database])] * 3
    assert one["chance"]["map@100"]["retrieved"] >= min(relevant)


def test_test_is_read_once_and_last(tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, splits = tmp_path / "run", []
    load = HashingData.split_loader

    def watched(self: HashingData, split: str) -> Any:
        splits.append((split, (out / "finetune" / "done.json").exists()))
        return load(self, split)

    monkeypatch.setattr(HashingData, "split_loader", watched)
    assert avnas("fit", "--config", tiny_config, "--search.epochs=1", "--finetune.epochs=1", "--out", out) == 0
    assert splits.count(("test", True)) == 1
    assert ("test", False) not in splits
    assert ("val", True) not in splits
    assert metrics_of(out)["test"]["map@100"]


def test_history_has_a_row_for_each_epoch_and_no_scores_of_another_one(data: HashingData, tmp_path: Path) -> None:
    history = EpochLog(tmp_path / "search")
    trainer = L.Trainer(
        max_epochs=3,
        check_val_every_n_epoch=2,
        accelerator="cpu",
        callbacks=[history],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(HashingModule(mlp(), recipe=Recipe(lr=0.05)), datamodule=data)
    rows = epochs_of(tmp_path, "search")
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [bool(row["val/map@100_retrieved"]) for row in rows] == [False, True, False]
    assert all(float(row["train/loss"]) > 0 for row in rows)
    again = EpochLog(tmp_path / "again")
    again.load_state_dict(history.state_dict())
    assert again.seconds_per_epoch == history.seconds_per_epoch > 0
