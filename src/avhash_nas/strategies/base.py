"""The interface of search strategies."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Routes
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies.protocols import Evaluator, SearchContext, SearchProgress


class SearchStrategy(ABC):
    """Finds an architecture while, and after, a supernet's weights are trained.

    A strategy knows nothing of Lightning. HashingModule asks it for routes and parameters, and StrategyCallback calls
    its steps. One strategy serves one search, in which the calls are:

    1. `setup_search(space, seed)`, once, before anything else: create architecture parameters and all other state.
    2. `parameter_groups()`: the parameters that the weights' optimizer trains in the same step.
    3. `start_training(context)`, when training starts or resumes: refuse what the strategy cannot work with.
    4. Before each weight step `architecture_step(context, batch, progress)`, the strategy's own step, and then
       `route(progress)`, the route of the weight step.
    5. At each validation `evaluation_routes(progress)`, the routes to score, by name, and `summary(progress)`, values
       to log. Once an epoch `probabilities(progress)`, for reports.
    6. `search(evaluator)`, once, after training, with the state that was kept. After an interruption it is called
       again from the start; the evaluator remembers its results.
    7. `derive()`, at any time: the architecture that the present state stands for. `report()` at the end.

    State that is a tensor belongs in `architecture`, an nn.Module that is saved and restored with the weights; all
    other state in `state_dict`. `optimizer` is saved by StrategyCallback. Random draws are keyed on (seed, epoch,
    batch), so that all ranks draw the same and a resumed search continues as if never stopped.

    Attributes:
        monitor: Name of the evaluation route whose score on val selects the epoch whose state is kept; None keeps the
            state at the end.
        train_fraction: Fraction of the training videos that trains the weights (`HashingData.split_train`). The others
            are held out for `SearchContext.held_out_batch`. An epoch has the same number of weight steps in any case.
        uses_supernet: Whether shared weights are trained before `search`.
        architecture: Architecture parameters and other tensors; empty by default. Created by `setup_search`.
        optimizer: The strategy's own optimizer, created by `setup_search`; None if it has none.
        seed: Set by `setup_search`.
    """

    monitor: str | None = "derived"
    train_fraction: float = 1.0
    uses_supernet: bool = True
    architecture: nn.Module
    optimizer: torch.optim.Optimizer | None = None
    seed: int
    _space: SearchSpace | None = None

    def setup_search(self, space: SearchSpace, seed: int) -> None:
        """Prepare for a search.

        Args:
            space: Search space, with at least one free cell.
            seed: For everything random.

        Raises:
            AvnasError: The space leaves nothing to choose.
        """
        if not space.choices:
            raise AvnasError(f"{type(self).__name__}: the network leaves nothing to choose; give it a search space")
        self._space = space
        self.seed = seed
        self.architecture = nn.Module()

    @property
    def space(self) -> SearchSpace:
        """The search space.

        Raises:
            AvnasError: `setup_search` has not been called.
        """
        if self._space is None:
            raise AvnasError(f"{type(self).__name__}: call setup_search(network.space, seed) before training")
        return self._space

    @abstractmethod
    def route(self, progress: SearchProgress) -> Routes:
        """Route of the next weight step, or several routes whose mean loss it takes.

        A pure function of the state, the seed and `progress`.
        """

    @abstractmethod
    def derive(self) -> Architecture:
        """The architecture that the present state stands for: deterministic, and without side effects."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups, in torch's form, for the optimizer of the weights; none by default.

        A group may hold `lr_multiplier`: a function from the fraction of the search that is done, in [0, 1], to the
        factor on the group's learning rate, which is 1 otherwise.
        """
        return []

    def start_training(self, context: SearchContext) -> None:
        """Training starts or resumes: raise AvnasError for what the strategy cannot work with."""

    def architecture_step(self, context: SearchContext, batch: Batch, progress: SearchProgress) -> None:
        """The strategy's own step, before a weight step; nothing by default.

        Torch's generators are seeded before it on (seed, epoch, batch, rank), and the network's buffers are restored
        after it. It must not touch the weights or their gradients: take gradients by torch.autograd.grad with respect
        to the strategy's parameters, and average them by `distributed.all_reduce_mean`.

        Args:
            context: The training around the step.
            batch: This rank's share of the next weight step's batch.
            progress: Of that weight step.
        """

    def search(self, evaluator: Evaluator) -> None:
        """Continue the search after training, by the scores of finished architectures; nothing by default.

        Deterministic given the state, the seed and the evaluator's results.
        """

    def evaluation_routes(self, progress: SearchProgress) -> Mapping[str, Routes]:
        """Routes that a validation scores, by name; the derived architecture by default."""
        return {"derived": self.space.indices(self.derive())}

    def summary(self, progress: SearchProgress) -> dict[str, float]:
        """Values that describe the state, logged at each validation; the derived number of skips by default."""
        return {"skips": float(sum(candidate == "skip" for candidate in self.derive().values()))}

    def probabilities(self, progress: SearchProgress) -> Mapping[str, Sequence[float]]:
        """Present probabilities of the candidates of each cell; none by default.

        Returns:
            By cell name, one number in [0, 1] for each candidate, of sum 1. Cells without known probabilities are
            left out.
        """
        return {}

    def report(self) -> dict[str, Any]:
        """How the search went, as JSON values, for `metrics.json`; nothing by default."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """State outside `architecture` and `optimizer`, as plain values and tensors; empty by default."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; called after `setup_search`."""
