"""The LightningModule: a network, an objective and a recipe. How outputs are scored is up to its two subclasses."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import Metric
from typing_extensions import override

from avhash_nas.data import Batch, HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.metrics import ids_from_names
from avhash_nas.networks import Route, RoutedNetwork, Routes, VideoNetwork
from avhash_nas.objectives import Objective
from avhash_nas.random_streams import seeded, weight_step_seed
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.optimizer import can_fuse, make_adamw, weight_groups
from avhash_nas.training.recipe import Recipe
from avhash_nas.training.strategy_callback import StrategyCallback, hashing_data, search_progress
from avhash_nas.training.tensors import read_tensors, write_tensors


class NetworkModule(L.LightningModule, ABC):
    """Trains a network with automatic optimization, and scores its outputs on val and test.

    With a search strategy it trains a supernet: it asks the strategy for the route of each weight step and for the
    routes that a validation scores, trains the parameters of the strategy's groups along with the weights, and adds
    the StrategyCallback to the Trainer.

    Everything random in a training step (dropout, augmentation) is a function of (seed, epoch, batch, rank), so that
    a resumed run computes what an uninterrupted one computes.

    Args:
        network: Supernet or plain network.
        objective: Loss of a batch. The module takes a copy.
        recipe: How the weights are trained.
        augmentation: Applied to training batches; none if None.
        seed: For dropout and augmentation.
        strategy: Searches the network's space, after `setup_search`; None for a network without choices.
        prepared_file: File for what the objective prepares before training; it is not saved if None.
        pretrained: Network that the objective prepares with; `network` if None.
        stop_point: Raises `Interrupted` if a stop was requested.

    Raises:
        AvnasError: The strategy searches another space than the network's.

    Attributes:
        architecture: The strategy's `architecture`, saved and restored with the weights.
        route: Route of the last weight step; of several routes the loss is the mean.
        evaluation_routes: Routes that the last validation or test scored, by name; of several routes, the mean score.
            Scores are logged as `val/NAME/SCORE`, and as `val/SCORE` for the empty name.
        scores: The last validation's or test's scores, by route name; of several routes, those of the first.
    """

    def __init__(
        self,
        network: VideoNetwork,
        objective: Objective,
        recipe: Recipe | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        *,
        strategy: SearchStrategy | None = None,
        prepared_file: Path | None = None,
        pretrained: VideoNetwork | None = None,
        stop_point: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        if strategy is not None and strategy.space != getattr(network, "space", None):
            raise AvnasError(f"{type(strategy).__name__}: was set up for another search space than the network's")
        self.network = network
        self.objective = copy.deepcopy(objective)
        self.recipe = recipe if recipe is not None else Recipe()
        self.augmentation = augmentation
        self.seed = seed
        self.strategy = strategy
        self.architecture = strategy.architecture if strategy is not None else nn.Module()
        self.prepared_file = prepared_file
        self.pretrained = pretrained
        self.stop_point = stop_point
        self.route: Routes | None = None
        self.evaluation_routes: Mapping[str, Routes | None] = {}
        self.scores: dict[str, Any] = {}
        self._objective_ready = False
        self._metrics: dict[str, list[Any]] = {}
        self._loss_sum, self._losses = torch.zeros(()), 0
        self._identities: Tensor | None = None

    @staticmethod
    def check_augmentation(augmentation: Augmentation | None) -> None:
        """Raises AvnasError for an augmentation with which the networks cannot be trained."""

    @override
    def configure_callbacks(self) -> list[Callback]:
        return [] if self.strategy is None else [StrategyCallback(self.strategy, self)]

    @override
    def setup(self, stage: str) -> None:
        """Let the objective prepare, once, before optimizers and averages of the weights are made."""
        data = hashing_data(self.trainer)
        if stage != "fit" or data is None:
            return
        if self.objective.reads_labels:
            data.require_labels(type(self.objective).__name__)
        if not self._objective_ready:
            prepared = self._prepare(data)
            with seeded(self.seed):
                self.objective.setup(data, self.network, prepared)
            self._objective_ready = True
        data.draw_by(self.objective.sampling(data.sampling))

    @override
    def teardown(self, stage: str) -> None:
        """Let later stages sample their batches as the user chose."""
        data = hashing_data(self.trainer)
        if stage == "fit" and data is not None:
            data.draw_by(None)

    @override
    def on_train_start(self) -> None:
        self.on_train_epoch_start()  # Lightning does not call it for an epoch that is resumed within

    @override
    def on_train_epoch_start(self) -> None:
        self.network.start_epoch(self.current_epoch)
        self.objective.start_epoch(self.current_epoch)

    @override
    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Key the step's random numbers on (seed, epoch, batch, rank)."""
        if batch_idx == 0:
            self._loss_sum, self._losses = torch.zeros(()), 0
        torch.manual_seed(weight_step_seed(self.seed, self.current_epoch, batch_idx, self.global_rank))

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch on the strategy's route, or the mean over its routes."""
        if self.strategy is not None:
            self.route = self.strategy.route(search_progress(self.trainer, batch_idx))
        batch = self.augment(batch)
        loss = torch.stack([self.loss(batch, route) for route in _as_tuple(self.route)]).mean()
        self._loss_sum, self._losses = self._loss_sum.to(loss.device) + loss.detach().float(), self._losses + 1
        self.log("train/loss", self._loss_sum / self._losses, prog_bar=True)
        return loss

    def receive(self, batch: Batch) -> Batch:
        """Move a batch to the module's device and precision, as Lightning does before a step."""
        moved = self.trainer.strategy.batch_to_device(batch, self.device)
        received: Batch = self.trainer.precision_plugin.convert_input(moved)
        return received

    def augment(self, batch: Batch) -> Batch:
        """Augment a batch as training does; random."""
        if self.augmentation is None:
            return batch
        augmented: Batch = self.augmentation(batch)
        return augmented

    def loss(self, batch: Batch, route: Route | None, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """The objective on all ranks' shares of a batch; the same value on all ranks.

        Args:
            batch: This rank's share.
            route: Route through the network.
            parameters: By name, in place of the network's own, which stay as they are.
        """
        return self.objective.loss(RoutedNetwork(self.network, route, parameters), batch)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["loss"] = (self._loss_sum.cpu(), self._losses)  # the mean of an epoch that is stopped within

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._loss_sum, self._losses = checkpoint["loss"]

    @override
    def on_validation_epoch_start(self) -> None:
        self._start_scoring()

    @override
    def on_test_epoch_start(self) -> None:
        self._start_scoring()

    @override
    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score a batch on each route."""
        self._update(batch, dataloader_idx)

    @override
    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Any:
        """Score a batch on each route.

        Returns:
            The outputs of the first route.
        """
        return self._update(batch, dataloader_idx)

    @override
    def predict_step(self, batch: Batch, batch_idx: int) -> Any:
        """Outputs for a batch by a network without choices."""
        return self.outputs(batch, None)

    @abstractmethod
    def make_metric(self) -> Metric:
        """A metric with a method `scores`, which accumulates a validation or test."""

    @abstractmethod
    def outputs(self, batch: Batch, route: Route | None) -> Any:
        """What the network gives for a batch, in its present mode."""

    @abstractmethod
    def update_metric(self, metric: Metric, outputs: Any, batch: Batch, identity: Tensor, dataloader_idx: int) -> None:
        """Add a batch to a metric.

        Args:
            metric: Of `make_metric`.
            outputs: Of `outputs`.
            batch: The batch.
            identity: Identifies each video by its name, int64, shape (B,).
            dataloader_idx: Number of the loader that gave it.
        """

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_scores("val")
        values = {f"network/{name}": value for name, value in self.network.summary().items()}
        values |= {f"objective/{name}": value for name, value in self.objective.summary().items()}
        self.log_dict(values, rank_zero_only=True)

    @override
    def on_test_epoch_end(self) -> None:
        self._log_scores("test")

    @override
    def configure_optimizers(self) -> Any:
        """AdamW over the weights, and over the strategy's parameter groups, with the recipe's schedule for the weights.

        Each group has its `part`: body, head, objective or architecture.
        """
        own = [] if self.strategy is None else self.strategy.parameter_groups()
        groups = weight_groups(self.network, self.objective, self.recipe)
        groups += [{"part": "architecture", **group} for group in own]
        schedules = [group.pop("lr_multiplier", lambda _: 1.0) for group in groups]
        fused = self._trainer is None or can_fuse(self.trainer)
        optimizer = make_adamw(groups, self.recipe.lr, self.recipe.eps, beta1=self.recipe.beta1, fused=fused)
        multipliers: list[Callable[[int], float]] = [partial(self._lr_multiplier, schedule) for schedule in schedules]
        scheduler = LambdaLR(optimizer, multipliers)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _lr_multiplier(self, schedule: Callable[[float], float], step: int) -> float:
        """What a schedule gives at a step.

        Trainer.estimated_stepping_batches would give the number of steps, but sets up the loaders too early for a
        resumed run to start within an epoch.
        """
        if step == 0:
            return schedule(0.0)
        steps_per_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        return schedule(step / (steps_per_epoch * max(1, self.trainer.max_epochs or 1)))

    def _prepare(self, data: HashingData) -> dict[str, Tensor]:
        """What the objective prepares, computed once for all ranks and restarts."""
        source = self.pretrained if self.pretrained is not None else self.network
        file = self.prepared_file
        if file is None:
            return self.objective.prepare(data, source, self.seed)
        if self.trainer.is_global_zero and not file.exists():
            prepared = self.objective.prepare(data, source, self.seed)
            if prepared:
                write_tensors(file, prepared)
        self.trainer.strategy.barrier()
        return read_tensors(file) if file.exists() else {}

    def _start_scoring(self) -> None:
        if self.strategy is None:
            self.evaluation_routes = {"": None}
        else:
            self.evaluation_routes = self.strategy.evaluation_routes(search_progress(self.trainer))
        data = hashing_data(self.trainer)
        if data is not None and self._identities is None:
            self._identities = ids_from_names(data.ids)
        self._metrics = {
            name: [self.make_metric().to(self.device) for _ in _as_tuple(routes)]
            for name, routes in self.evaluation_routes.items()
        }

    def _update(self, batch: Batch, dataloader_idx: int) -> Any:
        identity = batch.index
        if self._identities is not None:
            identity = self._identities[identity.cpu()].to(identity.device)
        first = None
        for name, routes in self.evaluation_routes.items():
            for metric, route in zip(self._metrics[name], _as_tuple(routes), strict=True):
                outputs = self.outputs(batch, route)
                self.update_metric(metric, outputs, batch, identity, dataloader_idx)
                first = outputs if first is None else first
        assert first is not None, "there is no route to evaluate"
        return first

    def _log_scores(self, stage: str) -> None:
        for name, metrics in self._metrics.items():
            self.scores[name] = metrics[0].scores()
            prefix = f"{stage}/{name}/" if name else f"{stage}/"
            computed = [metric.compute() for metric in metrics]
            for key in computed[0]:
                self.log(prefix + key, torch.stack([values[key] for values in computed]).mean())
        self._metrics = {}


def _as_tuple(routes: Routes | None) -> tuple[Route | None, ...]:
    return routes if isinstance(routes, tuple) else (routes,)
