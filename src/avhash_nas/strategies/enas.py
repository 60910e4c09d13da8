"""ENAS: a controller learns by REINFORCE which architectures do well with shared weights (ICML 2018)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from typing_extensions import override

from avhash_nas.data import Batch
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.networks import Routes
from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace, draw_distinct
from avhash_nas.strategies.controller import Controller, FactorizedPolicy, Policy
from avhash_nas.strategies.protocols import Evaluator, SearchContext, SearchProgress
from avhash_nas.strategies.reinforce import PolicyGradient, rewards_of
from avhash_nas.strategies.scored import BestScored, describe_scores, score_all
from avhash_nas.strategies.single_path import uniform_path

_ROUNDS = 100
"""Draws of `best_of` architectures after which `candidates` gives up on finding more distinct ones."""


class ENAS(BestScored):
    """Trains shared weights on architectures that a controller samples, and the controller on how well they do.

    The two alternate. Every weight step runs one path drawn from the controller, the same on all ranks. From the second
    epoch on, and after warm-up, each epoch begins with a phase of controller steps: a step draws some architectures,
    rewards each with minus its loss on one batch of val, with frozen weights in eval mode, and follows the REINFORCE
    gradient. After training, N distinct architectures of the final policy, the greedy one first, are scored on all of
    val, and the best is taken.

    Source: Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", and the authors' code.
    Differences: the reward is minus the loss instead of accuracy; the samples of a step share a batch of val, so that
    they can be compared (`advantage`); each cell has its own candidates and thus its own head, and no edges are
    searched; `reinforce.MovingBaseline` documents the baseline; all N candidates are scored on the same videos, and
    the greedy one is among them.

    The entropy is added to the reward without a gradient, as in that code. This is only the part of the entropy's
    gradient that comes from the choice of path; for a factorized policy, whose entropy is the same on every path, it is
    zero. `entropy_gradient` adds the rest.

    Args:
        controller_steps: Steps of a controller phase.
        samples: Architectures of a controller step, at least 2.
        warmup: Fraction of the search, in [0, 1), during which uniform paths train the weights and the controller is
            not trained.
        lr: The controller's learning rate (Adam). The logits of a factorized policy need about 100 times as much.
        hidden: Width of the LSTM.
        temperature: Divisor of the logits.
        tanh_constant: Bound of the logits, by tanh; 0 for none.
        autoregressive: False replaces the LSTM by independent cells with a vector of logits each, an ablation of the
            controller's context.
        decay: Of the moving baseline, at each reward.
        entropy_weight: Weight, in the reward, of the entropy of a path's distributions, in nats.
        entropy_gradient: Follow the whole gradient of the policy's entropy.
        advantage: Reference of a reward: the `moving` baseline, as the authors; the `others` of its step, which is also
            unbiased and removes the common effect of the step's videos and the weights' progress; or `standardized`,
            the step's rewards in units of their deviation.
        reward_batch: `drawn` gives each controller step its own batch of val, `fixed` all steps the same one.
        best_of: N, architectures that are scored at the end.
        derive_tanh: Keep tanh when drawing these. ENAS-pytorch leaves it out, which draws nearer to the greedy
            architecture; the authors' code keeps it.
        probes: Architectures drawn from the policy whose mean score on val is logged as that of the supernet.

    Raises:
        AvnasError: An option is out of range.
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
        self._make((2,), 0)  # checks the other options

    @override
    def setup_search(self, space: SearchSpace, seed: int) -> None:
        super().setup_search(space, seed)
        self.architecture = self._make([len(cell.candidates) for cell in space.choices], seed)
        self.optimizer = torch.optim.Adam(self.architecture.parameters(), lr=self.lr)
        self.phases: list[dict[str, float]] = []

    @override
    def start_training(self, context: SearchContext) -> None:
        self._val_batches(context)

    @override
    def route(self, progress: SearchProgress) -> Routes:
        """One path, drawn from the controller; a uniform one during warm-up."""
        if progress.fraction < self.warmup:
            return uniform_path(self.space, self.seed, progress.epoch, progress.batch)
        return self._paths(1, stream(self.seed, "enas weights", progress.epoch, progress.batch))[0]

    @override
    def evaluation_routes(self, progress: SearchProgress) -> Mapping[str, Routes]:
        """Paths drawn from the policy, by the same random numbers at every validation, and the derived architecture."""
        supernet = self._paths(self.probes, stream(self.seed, "enas probes"))
        return {"supernet": supernet, **super().evaluation_routes(progress)}

    @override
    def architecture_step(self, context: SearchContext, batch: Batch, progress: SearchProgress) -> None:
        """A phase of controller steps at the start of an epoch."""
        if progress.batch == 0 and progress.epoch > 0 and progress.fraction >= self.warmup:
            self.phases.append({"epoch": float(progress.epoch), **self._phase(context, progress.epoch)})

    @override
    def search(self, evaluator: Evaluator) -> None:
        self.rounds = (score_all(self.candidates(), evaluator.scores),)

    def candidates(self) -> list[Architecture]:
        """`best_of` distinct architectures of the present policy, the greedy one first.

        All of a smaller space; fewer also where 100 times as many draws do not give enough distinct ones.
        """
        distinct = {self._greedy(): None}
        if self.space.size <= self.best_of:
            return [*distinct, *draw_distinct(self.space, self.best_of, stream(self.seed, "enas candidates"), distinct)]
        for turn in range(_ROUNDS):
            random = stream(self.seed, "enas candidates", turn)
            for route in self._paths(self.best_of, random, tanh=self.derive_tanh):
                distinct[self.space.architecture(route)] = None
            if len(distinct) >= self.best_of:
                break
        return list(distinct)[: self.best_of]

    @override
    def derive(self) -> Architecture:
        """The best scored architecture; the greedy one before `search`."""
        return super().derive() if self.rounds else self._greedy()

    @override
    def summary(self, progress: SearchProgress) -> dict[str, float]:
        """Adds the policy's entropy (1 uniform, 0 decided), and mean reward and baseline of the last phase."""
        policy = self.architecture.policy
        with torch.no_grad():
            entropy = policy.sample(100, stream(self.seed, "enas entropy", progress.epoch)).entropy.mean()
        last = {name: self.phases[-1][name] for name in ("reward", "baseline")} if self.phases else {}
        return {"entropy": float(entropy) / float(np.log(policy.sizes).sum()), **last, **super().summary(progress)}

    @override
    def probabilities(self, progress: SearchProgress) -> Mapping[str, Sequence[float]]:
        """The policy's marginals, estimated from 200 architectures."""
        marginals = self.architecture.policy.marginals(200, stream(self.seed, "enas marginals", progress.epoch))
        return {cell.name: values.tolist() for cell, values in zip(self.space.choices, marginals, strict=True)}

    @override
    def report(self) -> dict[str, Any]:
        """Every phase, and the scores of the candidates."""
        rounds = [{"candidates": describe_scores(scored), "greedy": scored[0].score} for scored in self.rounds]
        return {"phases": self.phases, **(rounds[0] if rounds else {})}

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "phases": self.phases}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.phases = list(state_dict["phases"])

    def _val_batches(self, context: SearchContext) -> Callable[[int], Batch]:
        """Batches of val, by number.

        Raises:
            AvnasError: Val cannot give rewards.
        """
        if context.data is None:
            raise AvnasError("ENAS: takes its rewards on the split val of a HashingData")
        try:
            return context.data.stream(context.data.splits["val"], self.seed + 2)
        except DataError as error:
            raise AvnasError("ENAS: its rewards need videos of val that share a class and some that do not") from error

    def _phase(self, context: SearchContext, epoch: int) -> dict[str, float]:
        """Run all controller steps of an epoch; their mean and best reward, the baseline and the mean entropy."""
        module, val_batches = context.module, self._val_batches(context)
        learner, optimizer = self.architecture, self.optimizer
        assert optimizer is not None
        parameters = list(learner.parameters())
        rewards, entropies = [], []
        for step in range(self.controller_steps):
            module.stop_point()
            number = epoch * self.controller_steps + step if self.reward_batch == "drawn" else 0
            batch = module.receive(val_batches(number))
            decoded = learner.policy.sample(self.samples, stream(self.seed, "enas controller", epoch, step))
            rewards.append(rewards_of(module, batch, [self._route(path) for path in decoded.choices.tolist()]))
            entropies.append(decoded.entropy.detach())
            gradients = torch.autograd.grad(learner.learn(decoded, rewards[-1]), parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            all_reduce_mean(parameters)
            optimizer.step()
            optimizer.zero_grad()
        all_rewards = torch.cat(rewards)
        return {
            "reward": float(all_rewards.mean()),
            "best": float(all_rewards.max()),
            "baseline": float(learner.baseline.value),
            "entropy": float(torch.cat(entropies).mean()),
        }

    @torch.no_grad()
    def _paths(self, count: int, random: np.random.Generator, *, tanh: bool = True) -> tuple[dict[str, int], ...]:
        drawn = self.architecture.policy.sample(count, random, tanh=tanh).choices
        return tuple(self._route(path) for path in drawn.tolist())

    def _route(self, path: Sequence[int]) -> dict[str, int]:
        """A path through the cells with a choice, as a route through all cells."""
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
