"""ENAS: a controller learns by REINFORCE which architectures do well with shared weights (ICML 2018)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import lightning as L
import numpy as np
import torch

from avhash_nas.data import Batch
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.networks import Routes
from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace, draw_distinct
from avhash_nas.strategies.controller import Controller, FactorizedPolicy, Policy
from avhash_nas.strategies.protocols import Evaluator, Searchable, SearchProgress
from avhash_nas.strategies.reinforce import PolicyGradient, rewards_of
from avhash_nas.strategies.scored import BestScored, describe_scores, score_all
from avhash_nas.strategies.single_path import uniform_path

_ROUNDS = 100
"""Draws of `best_of` architectures after which a decided policy is not asked for further distinct ones."""


class ENAS(BestScored):
    """Trains shared weights on architectures that a controller samples, and the controller on how well they do.

    The two alternate. Every weight step runs one path drawn from the controller, the same on all ranks. From the second
    epoch on, and after warm-up, each epoch begins with a phase of controller steps: a step draws some architectures,
    rewards each with minus its loss on one batch of val with the weights frozen and in eval mode, and follows the
    REINFORCE gradient. After the search the best of N distinct architectures of the final policy is taken, all scored
    on the whole of val; the greedy one is the first of them.

    Source: Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", and the authors' code.
    Differences from it: the reward is minus the loss instead of accuracy; the samples of a step share a batch of val,
    on which they can be compared (`advantage`); the cells have different candidates, and thus heads of their own,
    and no edges are searched; `reinforce.MovingBaseline` says what is different about the baseline; all of the N
    candidates are scored on the same videos, and the greedy one is among them.

    The entropy is added to the reward without a gradient, as in that code. This is only the part of the entropy's
    gradient that comes from the choice of path, and for a factorized policy, whose entropy is the same on every path,
    nothing at all: `entropy_gradient` adds the rest.

    Args:
        controller_steps: Steps of a controller phase.
        samples: Architectures of a controller step, at least 2.
        warmup: Part of the search, in [0, 1), during which the weights are trained by uniform paths and the controller
            is not trained.
        lr: The controller's learning rate (Adam). The logits of a factorized policy need about 100 times as much.
        hidden: Width of the LSTM.
        temperature: What logits are divided by.
        tanh_constant: Bound of the logits, by tanh; 0 for none.
        autoregressive: False replaces the LSTM by independent cells with a vector of logits each, to see what the
            controller's context is worth.
        decay: What the moving baseline keeps at each reward.
        entropy_weight: Weight, in the reward, of the entropy of a path's distributions, in nats.
        entropy_gradient: Follow the whole gradient of the policy's entropy.
        advantage: What a reward is compared with: the `moving` baseline, as the authors; the `others` of its step,
            which is as unbiased and also removes what the step's videos and the weights' progress do to all its
            rewards; or `standardized`, the step's rewards in units of their deviation.
        reward_batch: `drawn` gives each controller step a batch of val of its own, `fixed` all steps the same one.
        best_of: N, architectures that are scored at the end.
        derive_tanh: Keep tanh when drawing these. ENAS-pytorch leaves it out, which draws nearer to the greedy one; the
            authors' code keeps it.
        probes: Architectures drawn from the policy whose mean score on val is logged as that of the supernet.

    Raises:
        AvnasError: An option lies outside its range.
    """

    architecture: PolicyGradient

    def __init__(
        self,
        controller_steps: int = 30,
        samples: int = 10,
        warmup: float = 0.0,
        lr: float = 1e-3,
        hidden: int = 64,
        temperature: float = 5.0,
        tanh_constant: float = 2.5,
        autoregressive: bool = True,
        decay: float = 0.99,
        entropy_weight: float = 1e-4,
        entropy_gradient: bool = False,
        advantage: Literal["moving", "others", "standardized"] = "moving",
        reward_batch: Literal["drawn", "fixed"] = "drawn",
        best_of: int = 100,
        derive_tanh: bool = False,
        probes: int = 4,
    ) -> None:
        counts = {"controller_steps": (controller_steps, 1), "samples": (samples, 2), "best_of": (best_of, 1)}
        for name, (value, least) in {**counts, "probes": (probes, 1)}.items():
            if value < least:
                raise AvnasError(f"strategy.{name} must be at least {least}, got {value}")
        if not 0 <= warmup < 1:
            raise AvnasError(f"strategy.warmup must be a part of the search in [0, 1), got {warmup}")
        if not lr >= 0:
            raise AvnasError(f"strategy.lr must not be negative, got {lr}")
        if reward_batch not in ("drawn", "fixed"):
            raise AvnasError(f"strategy.reward_batch must be drawn or fixed, got {reward_batch!r}")
        self.controller_steps = controller_steps
        self.samples = samples
        self.warmup = warmup
        self.lr = lr
        self.hidden = hidden
        self.temperature = temperature
        self.tanh_constant = tanh_constant
        self.autoregressive = autoregressive
        self.decay = decay
        self.entropy_weight = entropy_weight
        self.entropy_gradient = entropy_gradient
        self.advantage = advantage
        self.reward_batch = reward_batch
        self.best_of = best_of
        self.derive_tanh = derive_tanh
        self.probes = probes
        self._make((2,), 0)  # refuses the other options out of range

    def setup_search(self, space: SearchSpace, seed: int) -> None:
        """Make the controller, its optimizer and the baseline."""
        super().setup_search(space, seed)
        self.architecture = self._make([len(cell.candidates) for cell in space.choices], seed)
        self.optimizer = torch.optim.Adam(self.architecture.parameters(), lr=self.lr)
        self.phases: list[dict[str, float]] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Lightning's hook: make sure that val can give rewards."""
        super().setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        if not hasattr(self, "data"):
            raise AvnasError("ENAS: takes its rewards on the split val of a HashingData")
        try:
            self._val_batch: Callable[[int], Batch] = self.data.stream(self.data.splits["val"], self.seed + 2)
        except DataError as error:
            raise AvnasError("ENAS: its rewards need videos of val that share a class and some that do not") from error

    def route(self, progress: SearchProgress) -> Routes:
        """One path, drawn from the controller; a uniform one during warm-up."""
        if progress.fraction < self.warmup:
            return uniform_path(self.space, self.seed, progress.epoch, progress.batch)
        return self._paths(1, stream(self.seed, "enas weights", progress.epoch, progress.batch))[0]

    def evaluation_routes(self, progress: SearchProgress) -> Mapping[str, Routes]:
        """Some architectures of the policy, drawn by the same numbers at every validation, and what is derived."""
        supernet = self._paths(self.probes, stream(self.seed, "enas probes"))
        return {"supernet": supernet, **super().evaluation_routes(progress)}

    def architecture_step(self, module: Searchable, batch: Batch, progress: SearchProgress) -> None:  # noqa: ARG002
        """A phase of controller steps at the start of an epoch."""
        if progress.batch == 0 and progress.epoch > 0 and progress.fraction >= self.warmup:
            self.phases.append({"epoch": float(progress.epoch), **self._phase(module, progress.epoch)})

    def search(self, evaluator: Evaluator) -> None:
        """Have the candidates scored."""
        self.rounds = (score_all(self.candidates(), evaluator.scores),)

    def candidates(self) -> list[Architecture]:
        """`best_of` distinct architectures of the present policy, the greedy one first.

        Fewer where the space holds fewer, all of which are taken, or where the policy is so decided that 100 times as
        many draws do not show as many.
        """
        found = {self._greedy(): None}
        if self.space.size <= self.best_of:
            return [*found, *draw_distinct(self.space, self.best_of, stream(self.seed, "enas candidates"), found)]
        for turn in range(_ROUNDS):
            random = stream(self.seed, "enas candidates", turn)
            for route in self._paths(self.best_of, random, tanh=self.derive_tanh):
                found[self.space.architecture(route)] = None
            if len(found) >= self.best_of:
                break
        return list(found)[: self.best_of]

    def derive(self) -> Architecture:
        """The best that was scored; before that, the greedy one."""
        return super().derive() if self.rounds else self._greedy()

    def summary(self, progress: SearchProgress) -> dict[str, float]:
        """Adds the policy's entropy (1 uniform, 0 decided), and mean reward and baseline of the last phase."""
        policy = self.architecture.policy
        with torch.no_grad():
            entropy = policy.sample(100, stream(self.seed, "enas entropy", progress.epoch)).entropy.mean()
        last = {name: self.phases[-1][name] for name in ("reward", "baseline")} if self.phases else {}
        return {"entropy": float(entropy) / float(np.log(policy.sizes).sum()), **last, **super().summary(progress)}

    def probabilities(self, progress: SearchProgress) -> Mapping[str, Sequence[float]]:
        """The policy's marginals, estimated from 200 architectures."""
        found = self.architecture.policy.marginals(200, stream(self.seed, "enas marginals", progress.epoch))
        return {cell.name: values.tolist() for cell, values in zip(self.space.choices, found, strict=True)}

    def report(self) -> dict[str, Any]:
        """Every phase, and the scores of the candidates."""
        chosen = [{"candidates": describe_scores(scored), "greedy": scored[0].score} for scored in self.rounds]
        return {"phases": self.phases, **(chosen[0] if chosen else {})}

    def state_dict(self) -> dict[str, Any]:
        """Adds the phases' figures."""
        return {**super().state_dict(), "phases": self.phases}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        super().load_state_dict(state_dict)
        self.phases = list(state_dict["phases"])

    def _phase(self, module: Searchable, epoch: int) -> dict[str, float]:
        """All controller steps of an epoch, and what they saw."""
        learner, optimizer = self.architecture, self.optimizer
        assert optimizer is not None
        parameters = list(learner.parameters())
        rewards, entropies = [], []
        for step in range(self.controller_steps):
            module.stop_point()
            number = epoch * self.controller_steps + step if self.reward_batch == "drawn" else 0
            batch = module.receive(self._val_batch(number))
            decoded = learner.policy.sample(self.samples, stream(self.seed, "enas controller", epoch, step))
            rewards.append(rewards_of(module, batch, [self._route(path) for path in decoded.choices.tolist()]))
            entropies.append(decoded.entropy.detach())
            gradients = torch.autograd.grad(learner.learn(decoded, rewards[-1]), parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            all_reduce_mean(parameters)
            optimizer.step()
            optimizer.zero_grad()
        seen = torch.cat(rewards)
        return {
            "reward": float(seen.mean()),
            "best": float(seen.max()),
            "baseline": float(learner.baseline.value),
            "entropy": float(torch.cat(entropies).mean()),
        }

    @torch.no_grad()
    def _paths(self, count: int, random: np.random.Generator, *, tanh: bool = True) -> tuple[dict[str, int], ...]:
        drawn = self.architecture.policy.sample(count, random, tanh=tanh).choices
        return tuple(self._route(path) for path in drawn.tolist())

    def _route(self, path: Sequence[int]) -> dict[str, int]:
        """A path through the cells that leave a choice, as a route through all."""
        chosen = {cell.name: position for cell, position in zip(self.space.choices, path, strict=True)}
        return {cell.name: chosen.get(cell.name, 0) for cell in self.space.cells}

    def _greedy(self) -> Architecture:
        return self.space.architecture(self._route(self.architecture.policy.greedy()))

    def _make(self, sizes: Sequence[int], seed: int) -> PolicyGradient:
        bounds = (self.temperature, self.tanh_constant)
        policy: Policy
        if self.autoregressive:
            policy = Controller(sizes, self.hidden, *bounds, seed=seed)
        else:
            policy = FactorizedPolicy(sizes, *bounds, seed=seed)
        return PolicyGradient(policy, self.decay, self.entropy_weight, self.entropy_gradient, self.advantage)
