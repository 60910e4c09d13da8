"""The callback through which a Trainer drives a search strategy."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from typing_extensions import override

from avhash_nas.data import Batch, HashingData
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.random_streams import architecture_step_seed
from avhash_nas.strategies import Searchable, SearchContext, SearchProgress, SearchStrategy, WeightOptimizer


class StrategyCallback(Callback):
    """Calls a strategy's own steps, splits the training videos for it, and saves its state.

    NetworkModule adds it to the Trainer (`configure_callbacks`) if it has a strategy, and asks for routes itself.

    Args:
        strategy: After `setup_search`.
        module: Trains the supernet.
    """

    def __init__(self, strategy: SearchStrategy, module: Searchable) -> None:
        self.strategy = strategy
        self.module = module
        self._held_out: Callable[[int], Batch] | None = None
        self._context: SearchContext | None = None
        self._optimizer_state: dict[str, Any] | None = None

    @override
    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        strategy, data = self.strategy, hashing_data(trainer)
        if stage != "fit" or strategy.train_fraction >= 1:
            return
        if data is None:
            raise AvnasError(f"{type(strategy).__name__}: splits the training videos in two, which takes a HashingData")
        weights, held_out = data.split_train(strategy.train_fraction, strategy.seed)
        data.train_on(weights)
        try:
            self._held_out = data.stream(held_out, strategy.seed + 1)
        except DataError as error:
            raise AvnasError(
                f"{type(strategy).__name__}.train_fraction: {strategy.train_fraction} leaves {len(held_out)} of "
                f"{len(weights) + len(held_out)} training videos to the architecture, which are too few: {error}"
            ) from error

    @override
    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        data = hashing_data(trainer)
        if stage == "fit" and data is not None:
            data.train_on(None)

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the optimizer, now that the parameters are on their device, and let the strategy check the rest."""
        if self._optimizer_state is not None and self.strategy.optimizer is not None:
            self.strategy.optimizer.load_state_dict(self._optimizer_state)
        self._optimizer_state = None
        weight_optimizer = WeightOptimizer(
            trainer.optimizers[0],
            trainer.gradient_clip_val,
            clip_by_value=trainer.gradient_clip_algorithm == "value",
            batches_per_step=trainer.accumulate_grad_batches,
        )
        self._context = SearchContext(self.module, weight_optimizer, hashing_data(trainer), self._held_out)
        self.strategy.start_training(self._context)

    @override
    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Run the strategy's own step."""
        assert self._context is not None
        epoch, rank = trainer.current_epoch, trainer.global_rank
        torch.manual_seed(architecture_step_seed(self.strategy.seed, epoch, batch_idx, rank))
        with _buffers_restored(self.module.network):
            self.strategy.architecture_step(self._context, batch, search_progress(trainer, batch_idx))

    @override
    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the summary."""
        values = self.strategy.summary(search_progress(trainer))
        pl_module.log_dict({f"architecture/{name}": value for name, value in values.items()}, rank_zero_only=True)

    @override
    def state_dict(self) -> dict[str, Any]:
        optimizer = self.strategy.optimizer
        return {
            "strategy": self.strategy.state_dict(),
            "optimizer": None if optimizer is None else optimizer.state_dict(),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.strategy.load_state_dict(state_dict["strategy"])
        self._optimizer_state = state_dict["optimizer"]


def hashing_data(trainer: L.Trainer) -> HashingData | None:
    """The Trainer's data module, if it is a HashingData."""
    data = getattr(trainer, "datamodule", None)
    return data if isinstance(data, HashingData) else None


def search_progress(trainer: L.Trainer, batch: int | None = None) -> SearchProgress:
    """Progress of a Trainer's fit before a batch; without a batch, at the end of the present epoch."""
    epochs = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else 1
    known = math.isfinite(trainer.num_training_batches)  # not in the sanity check of the validation
    batches = int(trainer.num_training_batches) if known else 0
    return SearchProgress(trainer.current_epoch, batches if batch is None else batch, epochs, batches)


@contextmanager
def _buffers_restored(network: nn.Module) -> Iterator[None]:
    """Restore the network's buffers, such as the running statistics of batch norm, after the block."""
    saved = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, value in saved:
            buffer.copy_(value)
