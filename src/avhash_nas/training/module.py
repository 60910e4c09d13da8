"""The one LightningModule: a hashing network, an objective, and how retrieval is scored."""

import copy
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from avhash_nas.data import Batch, HashingData
from avhash_nas.metrics import RetrievalMetric, RetrievalScores, ids_from_names
from avhash_nas.networks import HashNetwork, Route, RoutedNetwork, Routes
from avhash_nas.objectives import InfoNCE, Objective
from avhash_nas.random_streams import seeded, weight_step_seed
from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.optimizer import can_fuse, make_adamw, weight_groups
from avhash_nas.training.recipe import Recipe
from avhash_nas.training.tensors import read_tensors, write_tensors

ROLES: tuple[Literal["query"], Literal["database"]] = ("query", "database")
"""What the first and the second loader of a validation or test hold."""


class HashingModule(L.LightningModule):
    """Trains a hashing network and scores its codes by retrieval, by automatic optimization.

    A search strategy, which is a Callback, steers it through the members of `strategies.protocols.Searchable`: it sets
    `route` before each weight step and `evaluation_routes` before each validation, trains parameters of its own along
    with the weights by `attach`, or takes steps of its own on `loss`.

    Everything random in a training step (dropout, augmentation) is a function of (seed, epoch, batch, rank), so that
    a resumed run computes what an uninterrupted one computes.

    Args:
        network: Supernet or plain network.
        objective: Loss of a batch; in-batch InfoNCE if None. The module takes a copy.
        recipe: How the weights are trained.
        augmentation: Applied to training batches; none if None.
        ks: The K of mAP@K, P@K and R@K.
        seed: For dropout and augmentation.

    Attributes:
        route: What the next weight step runs, of several routes each with its share in the loss; None for a network
            without choices.
        evaluation_routes: What a validation or test scores, by name; of several routes, the mean score. Scores are
            logged as `val/NAME/map@K_retrieved`, ..., and as `val/map@K_retrieved` for the empty name.
        scores: The last validation's or test's scores, by route name; of several routes, those of the first.
        stop_point: Ends with `Interrupted` if a stop was asked for.
        prepared: File for what the objective prepares before training; it is not kept if None.
        prepared_from: Network that the objective prepares with; the one that is trained if None.
    """

    def __init__(
        self,
        network: HashNetwork,
        objective: Objective | None = None,
        recipe: Recipe | None = None,
        augmentation: Augmentation | None = None,
        ks: tuple[int, ...] = (100,),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = copy.deepcopy(objective) if objective is not None else InfoNCE()
        self.recipe = recipe if recipe is not None else Recipe()
        self.augmentation = augmentation
        self.ks = ks
        self.seed = seed
        self.architecture: nn.Module = nn.Module()
        self.route: Routes | None = None
        self.evaluation_routes: Mapping[str, Routes | None] = {"": None}
        self.stop_point: Callable[[], None] = _go_on
        self._begun = False
        self.prepared: Path | None = None
        self.prepared_from: HashNetwork | None = None
        self._groups: list[dict[str, Any]] = []
        self._metrics: dict[str, list[RetrievalMetric]] = {}
        self.scores: dict[str, RetrievalScores] = {}
        self._loss_sum, self._losses = torch.zeros(()), 0
        self._identities: Tensor | None = None

    def attach(self, architecture: nn.Module, groups: list[dict[str, Any]]) -> None:
        """Save and restore a strategy's parameters with the weights, and train them in the same step.

        Args:
            architecture: The strategy's parameters.
            groups: Parameter groups for the optimizer of the weights, with settings of their own; `lr_multiplier` gives the
                course of the learning rate (SearchStrategy.parameter_groups).
        """
        self.architecture = architecture
        self._groups = groups

    def setup(self, stage: str) -> None:
        """Let the objective prepare and begin, once, before optimizers and averages of the weights are made."""
        data = getattr(self.trainer, "datamodule", None)
        if stage != "fit" or not isinstance(data, HashingData):
            return
        if not self._begun:
            prepared = self._prepare(data)
            with seeded(self.seed):
                self.objective.setup(data, self.network, prepared)
            self._begun = True
        data.draw_by(self.objective.sampling(data.sampling))

    def teardown(self, stage: str) -> None:
        """Let later stages draw their batches as the user chose."""
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and isinstance(data, HashingData):
            data.draw_by(None)

    def on_train_start(self) -> None:
        """Tell network and objective the epoch: one that is resumed within has no start for Lightning."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Tell network and objective the epoch."""
        self.network.start_epoch(self.current_epoch)
        self.objective.start_epoch(self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Key the step's random numbers on (seed, epoch, batch, rank)."""
        if batch_idx == 0:
            self._loss_sum, self._losses = torch.zeros(()), 0
        torch.manual_seed(weight_step_seed(self.seed, self.current_epoch, batch_idx, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Loss of one batch on the present route, or the mean over the present routes."""
        batch = self.augment(batch)
        loss = torch.stack([self.loss(batch, route) for route in _as_tuple(self.route)]).mean()
        self._loss_sum, self._losses = self._loss_sum.to(loss.device) + loss.detach().float(), self._losses + 1
        self.log("train/loss", self._loss_sum / self._losses, prog_bar=True)
        return loss

    def receive(self, batch: Batch) -> Batch:
        """A batch on the module's device and in its precision, as Lightning hands batches to a step."""
        moved = self.trainer.strategy.batch_to_device(batch, self.device)
        received: Batch = self.trainer.precision_plugin.convert_input(moved)
        return received

    def augment(self, batch: Batch) -> Batch:
        """A batch as training sees it; random."""
        if self.augmentation is None:
            return batch
        varied: Batch = self.augmentation(batch)
        return varied

    def loss(self, batch: Batch, route: Route | None, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """The objective on all ranks' shares of a batch, which is the same on all ranks.

        Args:
            batch: This rank's share.
            route: What the network runs.
            parameters: In place of the network's own, by name; the network stays as it is.
        """
        return self.objective.loss(RoutedNetwork(self.network, route, parameters), batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the mean loss of an epoch that is stopped within."""
        checkpoint["loss"] = (self._loss_sum.cpu(), self._losses)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Inverse of `on_save_checkpoint`."""
        self._loss_sum, self._losses = checkpoint["loss"]

    def on_validation_epoch_start(self) -> None:
        """Start a score for each route."""
        self._start()

    def on_test_epoch_start(self) -> None:
        """Start a score for each route."""
        self._start()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        """Encode a batch of queries (loader 0) or of the database (loader 1) on each route."""
        self._update(batch, dataloader_idx)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Encode a batch of queries (loader 0) or of the database (loader 1) on each route.

        Returns:
            The relaxed codes of the first route, for callbacks to keep.
        """
        return self._update(batch, dataloader_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Relaxed codes of a batch, by a network without choices, (B, q)."""
        codes: Tensor = self.network(batch.visual, batch.audio)
        return codes

    def on_validation_epoch_end(self) -> None:
        """Rank, score, log."""
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        """Rank, score, log."""
        self._finish("test")

    def configure_optimizers(self) -> Any:
        """AdamW over the weights, and over what a strategy attached, with the recipe's schedule for the weights.

        Each group says which `part` it is: body, head, objective or architecture.
        """
        weights = weight_groups(self.network, self.objective, self.recipe)
        groups = [*weights, *({"part": "architecture", **group} for group in self._groups)]
        schedules: list[Callable[[float], float]] = [group.pop("factor", lambda _: 1.0) for group in groups]
        fused = self._trainer is None or can_fuse(self.trainer)
        optimizer = make_adamw(groups, self.recipe.lr, self.recipe.eps, fused=fused)
        factors: list[Callable[[int], float]] = [partial(self._factor, schedule) for schedule in schedules]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factors), "interval": "step"}}

    def _factor(self, schedule: Callable[[float], float], step: int) -> float:
        """What a group's learning rate is multiplied by at a step."""
        return schedule(self._done(step))

    def _prepare(self, data: HashingData) -> dict[str, Tensor]:
        """What the objective prepares, once for all ranks and restarts."""
        source = self.prepared_from if self.prepared_from is not None else self.network
        if self.prepared is None:
            return self.objective.prepare(data, source, self.seed)
        if self.trainer.is_global_zero and not self.prepared.exists():
            made = self.objective.prepare(data, source, self.seed)
            if made:
                write_tensors(self.prepared, made)
        self.trainer.strategy.barrier()
        return read_tensors(self.prepared) if self.prepared.exists() else {}

    def _done(self, step: int) -> float:
        """Part of the stage that is done after so many steps.

        Trainer.estimated_stepping_batches would tell the number of steps, but sets the loaders up too early for a
        resumed run to start within an epoch.
        """
        if step == 0:
            return 0.0
        steps_per_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        return step / (steps_per_epoch * max(1, self.trainer.max_epochs or 1))

    def _start(self) -> None:
        names = getattr(getattr(self.trainer, "datamodule", None), "ids", None)
        if names is not None and self._identities is None:
            self._identities = ids_from_names(names)
        self._metrics = {
            name: [RetrievalMetric(ks=self.ks).to(self.device) for _ in _as_tuple(routes)]
            for name, routes in self.evaluation_routes.items()
        }

    def _update(self, batch: Batch, dataloader_idx: int) -> Tensor:
        identity = (
            batch.index if self._identities is None else self._identities[batch.index.cpu()].to(batch.index.device)
        )
        first = None
        for name, routes in self.evaluation_routes.items():
            for metric, route in zip(self._metrics[name], _as_tuple(routes), strict=True):
                codes: Tensor = self.network(batch.visual, batch.audio, route)
                metric.update(codes.float(), batch.labels, identity, role=ROLES[dataloader_idx])
                first = codes if first is None else first
        assert first is not None, "there is no route to evaluate"
        return first

    def _finish(self, stage: str) -> None:
        for name, metrics in self._metrics.items():
            self.scores[name] = metrics[0].scores()
            prefix = f"{stage}/{name}/" if name else f"{stage}/"
            computed = [metric.compute() for metric in metrics]
            for key in computed[0]:
                self.log(prefix + key, torch.stack([values[key] for values in computed]).mean())
        self._metrics = {}


def _go_on() -> None:
    """The stop point of a module that no stage trains."""


def _as_tuple(routes: Routes | None) -> tuple[Route | None, ...]:
    return routes if isinstance(routes, tuple) else (routes,)
