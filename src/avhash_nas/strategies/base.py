"""The interface of search strategies."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from avhash_nas.data import Batch, HashingData
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.networks import Routes
from avhash_nas.random_streams import architecture_step_seed
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies.protocols import Evaluator, Searchable, SearchProgress, as_searchable, search_progress


class SearchStrategy(Callback, ABC):
    """Finds an architecture while, and after, a Trainer trains the supernet's weights.

    One strategy serves one search. The order of calls:

    1. `setup_search(space, seed)` once, before training: make the architecture parameters and all other state.
    2. `parameter_groups()`: which of them the weights' optimizer trains in the same step, with their own settings.
    3. Before each weight step `architecture_step(module, batch, moment)`, the strategy's own step if it has one, then
       `route(moment)`, what the weight step runs.
    4. At each validation `evaluation_routes(moment)`, the routes that are scored, by name, and `summary(moment)`. Once
       an epoch `probabilities(moment)`, for whoever wants to see the search go.
    5. `search(judge)` once, after training, with the state that was kept.
    6. `derive()`, at any time: the architecture that the present state stands for. `report()` at the end.

    Tensors of the state lie in `architecture`, an nn.Module which is saved and restored with the weights; what is no
    tensor goes through Callback.state_dict, where `optimizer`'s state already is. Sampling is counter-based on (seed,
    epoch, batch), so that all ranks draw alike and a resumed search goes on as if never stopped.

    Attributes:
        monitor: Name of the evaluation route whose score on val decides which epoch's state is kept; None keeps the
            state at the end.
        train_fraction: Share of the training videos, cut by `HashingData.split_train`, that trains the weights. The others make the
            batches of `architecture_batch`. An epoch has as many weight steps whatever the portion.
        uses_supernet: Whether weights are shared and trained before `search`.
        architecture: Architecture parameters and other tensors; empty by default.
        optimizer: The strategy's own, made in `setup_search`; None if it has none.
        space: What is searched. Set by `setup_search`.
        seed: Set by `setup_search`.
        data: The dataset. Set when training starts.
    """

    monitor: str | None = "derived"
    train_fraction: float = 1.0
    uses_supernet: bool = True
    architecture: nn.Module
    optimizer: torch.optim.Optimizer | None = None
    space: SearchSpace
    seed: int
    data: HashingData
    _held_out: Callable[[int], Batch]
    _restored: dict[str, Any] | None = None

    def setup_search(self, space: SearchSpace, seed: int) -> None:
        """Prepare for a search; called once, before training.

        Args:
            space: What is searched.
            seed: For everything random.
        """
        self.space = space
        self.seed = seed
        self.architecture = nn.Module()

    @abstractmethod
    def route(self, progress: SearchProgress) -> Routes:
        """What the next weight step runs: a pure function of the state, the seed and the moment."""

    @abstractmethod
    def derive(self) -> Architecture:
        """The architecture that the present state stands for: deterministic, repeatable, changes nothing."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups, in torch's form, for the optimizer that trains the weights; none by default.

        A group may hold `lr_multiplier`: a function from the part of the search that is done, in [0, 1], to what its learning
        rate is multiplied by, which is 1 otherwise.
        """
        return []

    def architecture_step(self, module: Searchable, batch: Batch, progress: SearchProgress) -> None:
        """The strategy's own step, before a weight step; nothing by default.

        Torch's random numbers are seeded before it on (seed, epoch, batch, rank), and the network's buffers are put
        back after it. It must leave the weights and their gradients alone: take gradients by torch.autograd.grad with
        respect to the strategy's parameters, and average them by `ranks.all_reduce_mean`.

        Args:
            module: What is steered.
            batch: This rank's share of the coming weight step's batch.
            progress: Of that weight step.
        """

    def architecture_batch(self, module: Searchable, progress: SearchProgress) -> Batch:
        """This rank's share of a batch of the videos that do not train the weights: a function of the moment alone.

        Args:
            module: Whose device and precision the batch gets; it is not augmented.
            progress: Of the weight step.
        """
        return module.receive(self._held_out(progress.step))

    def search(self, evaluator: Evaluator) -> None:
        """Search on, after training, by the scores of finished candidates; nothing by default.

        Deterministic given the state, the seed and the judge's answers. After an interruption it is called anew: the
        judge remembers what it has answered.
        """

    def evaluation_routes(self, progress: SearchProgress) -> Mapping[str, Routes]:  # noqa: ARG002
        """The routes that a validation scores, by name; the derived architecture by default."""
        return {"derived": self.space.indices(self.derive())}

    def summary(self, progress: SearchProgress) -> dict[str, float]:  # noqa: ARG002
        """Numbers that describe the state, logged once an epoch; the skips of the derived architecture by default."""
        return {"skips": float(sum(candidate == "skip" for candidate in self.derive().values()))}

    def probabilities(self, progress: SearchProgress) -> Mapping[str, Sequence[float]]:  # noqa: ARG002
        """How probable the candidates of each cell are at present; nothing by default.

        Returns:
            By cell name, one number in [0, 1] for each candidate, of sum 1. Cells of which a strategy can say nothing
            are left out.
        """
        return {}

    def report(self) -> dict[str, Any]:
        """How the search went, as JSON values, for `metrics.json`; nothing by default."""
        return {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Lightning's hook: bind to the module's supernet before optimizers are made, and cut the training videos."""
        if stage != "fit":
            return
        module = as_searchable(pl_module)
        if not hasattr(self, "space"):
            space = getattr(module.network, "space", None)
            if not isinstance(space, SearchSpace) or not space.choices:
                raise AvnasError(f"{type(self).__name__}: the network leaves nothing to choose; give it a search space")
            self.setup_search(space, int(getattr(pl_module, "seed", 0)))
        module.attach(self.architecture, self.parameter_groups())
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, HashingData):
            self.data = data
            self._cut(data)
        elif self.train_fraction < 1:
            raise AvnasError(f"{type(self).__name__}: cuts the training videos in two, which takes a HashingData")

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Lightning's hook: let later stages train on all videos."""
        if stage == "fit" and hasattr(self, "data"):
            self.data.train_on(None)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Lightning's hook: restore the optimizer, now that the parameters are on their device."""
        if self._restored is not None and self.optimizer is not None:
            self.optimizer.load_state_dict(self._restored)
        self._restored = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook: the strategy's own step, then the route of the weight step."""
        module, progress = as_searchable(pl_module), search_progress(trainer, batch_idx)
        torch.manual_seed(architecture_step_seed(self.seed, progress.epoch, batch_idx, trainer.global_rank))
        with _kept_buffers(module.network):
            self.architecture_step(module, batch, progress)
        module.route = self.route(progress)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook: set the routes that are scored."""
        as_searchable(pl_module).evaluation_routes = self.evaluation_routes(search_progress(trainer))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook: log the summary."""
        values = self.summary(search_progress(trainer))
        pl_module.log_dict({f"architecture/{name}": value for name, value in values.items()}, rank_zero_only=True)

    def state_dict(self) -> dict[str, Any]:
        """State that is no tensor of `architecture`: the optimizer's. Extend it with plain values and tensors."""
        return {} if self.optimizer is None else {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`, after `setup_search`."""
        self._restored = state_dict.get("optimizer")

    def _cut(self, data: HashingData) -> None:
        if self.train_fraction >= 1:
            return
        weights, held_out = data.split_train(self.train_fraction, self.seed)
        data.train_on(weights)
        try:
            self._held_out = data.stream(held_out, self.seed + 1)
        except DataError as error:
            raise AvnasError(
                f"strategy.train_fraction: {self.train_fraction} leaves {len(held_out)} of {len(weights) + len(held_out)} training "
                f"videos to the architecture, which are too few: {error}"
            ) from error


@contextmanager
def _kept_buffers(network: nn.Module) -> Iterator[None]:
    """Put the network's buffers, such as the running statistics of batch norm, back at the end of the block."""
    kept = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)
