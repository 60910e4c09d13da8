"""ProxylessNAS: path-level binary gates (ICLR 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from avhash_nas.data import Batch
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route, Routes
from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies.base import SearchStrategy
from avhash_nas.strategies.gates import Gate, draw, full_gate, rescale, two_path_gate
from avhash_nas.strategies.latency_term import LatencyTerm
from avhash_nas.strategies.logits import ArchitectureLogits
from avhash_nas.strategies.protocols import Searchable, SearchContext, SearchProgress
from avhash_nas.strategies.reinforce import MovingBaseline, reinforce_loss, rewards_of


class ProxylessNAS(SearchStrategy):
    """Trains weights by single paths drawn from softmax(alpha), and alpha through binary gates on held-out videos.

    Source: Cai et al., "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware". A weight step
    runs one candidate of every cell, the same on all ranks; the others have no gradient. After warm-up, every few
    weight steps, alpha takes a step of Adam on the loss of held-out videos, in training mode without augmentation. The
    state at the end is kept and the argmax derived, as in the authors' code.

    `gates` selects how alpha gets its gradient. `two`: two candidates of each cell run, one of them only for the
    gradient, and the joint probability of the two is restored after the step. `full`: all candidates run, in n passes
    with one graph, and every alpha moves in every step. (The default of the authors' command line is `full`; the paper
    describes `two`. Both are the same for a cell with two candidates.) `reinforce`: single paths are drawn and scored
    in eval mode, and alpha moves towards those with a small loss.

    Differences from the authors' code: their hand-written gradients come from autograd here (`strategies/gates.py`).
    Warm-up is part of the search instead of epochs before it. Steps are counted over the whole search, as epochs may be
    shorter than `every`. The REINFORCE reward is minus the loss, including the latency term, instead of accuracy, and
    its baseline does not contain the rewards that it is subtracted from.

    Args:
        gates: `two`, `full` or `reinforce`.
        lr: Learning rate of alpha.
        betas: Adam's moment decay rates for alpha. The first is 0, so that candidates that were not sampled do not
            move.
        init_scale: Standard deviation of alpha's initial values.
        warmup: Fraction of the search, in [0, 1), before which alpha is frozen: the authors' 40 of 160 epochs.
        every: Weight steps between two steps of alpha.
        train_fraction: Fraction of the training videos that trains the weights, between 0 and 1; the rest trains alpha.
            The paper holds out 5,000 of 50,000 images on CIFAR-10, and 50,000 of 1.28 million on ImageNet.
        samples: Paths of one REINFORCE step, at least 2.
        decay: Of the moving average of rewards that REINFORCE subtracts.
        latency: JSON file written by `avnas latency` for networks of this size; adds a term to the loss of alpha.
        latency_form: `add` or `multiply` (`LatencyTerm`).
        latency_weight: Weight of the term.
        latency_reference: Reference latency in seconds per video; the mean over the space if None.
        probes: Paths, drawn from the present probabilities, whose mean score on val is logged as the supernet's.
        select: Score on val that selects the state to keep; `last` keeps the state at the end.

    Raises:
        AvnasError: An option is out of range, or the table cannot be read.
    """

    architecture: ArchitectureLogits
    optimizer: torch.optim.Adam

    def __init__(
        self,
        gates: Literal["two", "full", "reinforce"] = "two",
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.0, 0.999),
        init_scale: float = 1e-3,
        warmup: float = 0.25,
        every: int = 5,
        train_fraction: float = 0.9,
        samples: int = 10,
        decay: float = 0.99,
        latency: str | None = None,
        latency_form: Literal["add", "multiply"] = "add",
        latency_weight: float = 0.1,
        latency_reference: float | None = None,
        probes: int = 4,
        select: Literal["last", "derived", "supernet"] = "last",
    ) -> None:
        if gates not in ("two", "full", "reinforce"):
            raise AvnasError(f"strategy.gates must be two, full or reinforce, got {gates!r}")
        if select not in ("last", "derived", "supernet"):
            raise AvnasError(f"strategy.select must be last, derived or supernet, got {select!r}")
        for name, value in {"lr": lr, "init_scale": init_scale}.items():
            if not value >= 0:
                raise AvnasError(f"strategy.{name} must not be negative, got {value}")
        for name, count, least in (("every", every, 1), ("samples", samples, 2), ("probes", probes, 1)):
            if count < least:
                raise AvnasError(f"strategy.{name} must be at least {least}, got {count}")
        if not all(0 <= beta < 1 for beta in betas):
            raise AvnasError(f"strategy.betas must lie in [0, 1), got {betas}")
        if gates == "two" and betas[0] != 0:
            raise AvnasError(f"strategy.betas must start with 0 where gates is two, got {betas}")
        if not 0 <= warmup < 1:
            raise AvnasError(f"strategy.warmup must lie in [0, 1), got {warmup}")
        if not 0 < train_fraction < 1:
            raise AvnasError(f"strategy.train_fraction must lie between 0 and 1, got {train_fraction}")
        self.gates = gates
        self.lr = lr
        self.betas = betas
        self.init_scale = init_scale
        self.warmup = warmup
        self.every = every
        self.train_fraction = train_fraction
        self.samples = samples
        self.probes = probes
        self.monitor = None if select == "last" else select
        self.baseline = MovingBaseline(decay)
        self.latency = (
            LatencyTerm(latency, latency_form, latency_weight, latency_reference) if latency is not None else None
        )

    @override
    def setup_search(self, space: SearchSpace, seed: int) -> None:
        super().setup_search(space, seed)
        self.architecture = ArchitectureLogits(space, self.init_scale, seed)
        self.optimizer = torch.optim.Adam(self.architecture.logits, self.lr, self.betas)
        if self.gates == "reinforce":
            self.baseline = MovingBaseline(self.baseline.decay)
            self.architecture.add_module("baseline", self.baseline)
        if self.latency is not None:
            self.latency.setup_search(space)

    @override
    def start_training(self, context: SearchContext) -> None:
        if self.latency is not None:
            self.latency.check(context.module.network)

    @override
    def route(self, progress: SearchProgress) -> Route:
        """One path, drawn from softmax(alpha)."""
        return self._path("path", progress.epoch, progress.batch)

    def steps_at(self, progress: SearchProgress) -> bool:
        """Whether alpha takes a step before this weight step."""
        return progress.fraction >= self.warmup and progress.step > 0 and progress.step % self.every == 0

    @override
    def architecture_step(self, context: SearchContext, batch: Batch, progress: SearchProgress) -> None:
        """A step of Adam on alpha, every few weight steps."""
        if not self.steps_at(progress):
            return
        module, held_out = context.module, context.held_out_batch(progress)
        parameters = list(self.architecture.logits)
        before = [logits.detach().clone() for logits in parameters]
        gates = self._gates(progress)
        loss = self._gated_loss(module, held_out, gates) if gates else self._policy_loss(module, held_out, progress)
        for logits, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            logits.grad = gradient
        all_reduce_mean(parameters)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.gates == "two":
            for cell, logits, old in zip(self.space.choices, parameters, before, strict=True):
                rescale(logits, old, gates[cell.name])

    @override
    def evaluation_routes(self, progress: SearchProgress) -> Mapping[str, Routes]:
        """Paths drawn from softmax(alpha), and the derived architecture."""
        paths = tuple(self._path("probe", progress.epoch, number) for number in range(self.probes))
        return {"supernet": paths, **super().evaluation_routes(progress)}

    @override
    def summary(self, progress: SearchProgress) -> dict[str, float]:
        """Adds the mean entropy of the cells (1 uniform, 0 decided) and, with a table, the expected latency in ms."""
        values = {"entropy": float(self.architecture.entropy().detach())}
        if self.latency is not None:
            values["latency_ms"] = 1000 * float(self.latency.expected(self.architecture.probabilities()).detach())
        return {**values, **super().summary(progress)}

    @override
    def probabilities(self, progress: SearchProgress) -> Mapping[str, Sequence[float]]:
        """softmax(alpha)."""
        return {cell: values.detach().tolist() for cell, values in self.architecture.probabilities().items()}

    @override
    def report(self) -> dict[str, Any]:
        """Probability of each cell's choice; with a table, seconds per video of the derived architecture."""
        probabilities = self.architecture.probabilities()
        report: dict[str, Any] = {"probability": {name: float(p.detach().max()) for name, p in probabilities.items()}}
        if self.latency is not None:
            derived = self.latency.of_path(self.space.indices(self.derive()))
            report["latency"] = {"derived": derived, "reference": self.latency.reference}
        return report

    @override
    def derive(self) -> Architecture:
        return self.architecture.argmax()

    def _logits(self) -> dict[str, NDArray[np.float64]]:
        """The logits by cell name, on the CPU in float64."""
        return {
            cell.name: logits.detach().double().cpu().numpy()
            for cell, logits in zip(self.space.choices, self.architecture.logits, strict=True)
        }

    def _path(self, purpose: str, *counters: int) -> dict[str, int]:
        random = stream(self.seed, purpose, *counters)
        return {name: draw(logits, 1, random)[0] for name, logits in self._logits().items()}

    def _gates(self, progress: SearchProgress) -> dict[str, Gate]:
        """The gates of a step by cell name; none for REINFORCE."""
        if self.gates == "reinforce":
            return {}
        make = two_path_gate if self.gates == "two" else full_gate
        random = stream(self.seed, "gates", progress.epoch, progress.batch)
        return {name: make(logits, random) for name, logits in self._logits().items()}

    def _gated_loss(self, module: Searchable, batch: Batch, gates: Mapping[str, Gate]) -> Tensor:
        """The loss of the active path, with the gradient of the gates for alpha."""
        probabilities = {
            cell.name: gates[cell.name].probabilities(logits)
            for cell, logits in zip(self.space.choices, self.architecture.logits, strict=True)
        }
        loss = module.loss(batch, {name: gate.mixture(probabilities[name]) for name, gate in gates.items()})
        if self.latency is None:
            return loss
        return self.latency.penalized(loss, self.latency.expected(probabilities, gates))

    def _policy_loss(self, module: Searchable, batch: Batch, progress: SearchProgress) -> Tensor:
        """REINFORCE's loss over some paths; updates the baseline."""
        paths = [self._path("sample", progress.epoch, progress.batch, number) for number in range(self.samples)]
        rewards = rewards_of(module, batch, paths)
        if self.latency is not None:
            costs = [
                self.latency.penalized(-reward, self.latency.of_path(path)) for reward, path in zip(rewards, paths)
            ]
            rewards = -torch.stack(costs)
        advantages = self.baseline.advantages(rewards)
        self.baseline.update(rewards)
        scores = [
            torch.log_softmax(logits, dim=0)[[path[cell.name] for path in paths]]
            for cell, logits in zip(self.space.choices, self.architecture.logits, strict=True)
        ]
        return reinforce_loss(torch.stack(scores).sum(0), advantages)
