"""REINFORCE with a moving baseline, for any policy over architectures."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route
from avhash_nas.strategies.controller import Decoded, Policy
from avhash_nas.strategies.protocols import Searchable


@torch.no_grad()
def rewards_of(module: Searchable, batch: Batch, routes: Sequence[Route]) -> Tensor:
    """Rewards of architectures on some videos with the present weights: minus the loss, in eval mode.

    Restores every submodule's mode, and draws no random numbers.

    Args:
        module: Trains the supernet.
        batch: This rank's share of the videos, as `module.receive` gives it.
        routes: The M architectures.

    Returns:
        (M,), the same on all ranks.
    """
    modes = [(part, part.training) for part in module.network.modules()]
    module.network.eval()
    try:
        return torch.stack([-module.loss(batch, route) for route in routes])
    finally:
        for part, mode in modes:
            part.training = mode


def reinforce_loss(log_probabilities: Tensor, advantages: Tensor) -> Tensor:
    """The loss whose gradient is the REINFORCE estimate: -mean_m A(m) log pi(m) (Williams, 1992).

    Args:
        log_probabilities: log pi(m) of M sampled architectures, with graph, (M,).
        advantages: Their advantages, (M,); no gradient flows through them.

    Returns:
        A scalar. The expectation of its gradient is -d/d(theta) sum_m pi(m) R(m) for advantages A = R - b if b does not
        depend on the sample m itself.
    """
    return -(log_probabilities * advantages.detach()).mean()


def above_others(rewards: Tensor) -> Tensor:
    """Advantages from the samples of one step alone: each reward minus the mean of the others, (M,) to (M,), M >= 2.

    Unbiased, as no sample contributes to its own reference. The common part of a step's rewards, such as the difficulty
    of its videos and the progress of the weights, cancels.
    """
    return rewards - (rewards.sum() - rewards) / (len(rewards) - 1)


def standardized(rewards: Tensor) -> Tensor:
    """Advantages from the samples of one step alone: (R - mean) / standard deviation, (M,) to (M,).

    Also independent of the rewards' scale, but biased, as each sample contributes to its own reference. Equal rewards
    give zeros.
    """
    centered = rewards - rewards.mean()
    return centered / centered.square().mean().sqrt().clamp(min=1e-8)


class MovingBaseline(nn.Module):
    """The exponential moving average of rewards that REINFORCE subtracts to reduce its variance.

    Each reward updates it in turn: b becomes decay * b + (1 - decay) * R, as in the ENAS authors' code; that of
    ProxylessNAS swaps the factors and keeps 1 % of the old value. An advantage uses b from before the update by its own
    step, so that the expected gradient is that without a baseline: ENAS-pytorch updates first, which shrinks every
    advantage and makes the first one 0.

    The first step has no average yet. It compares each sample with the others (`above_others`), which is also unbiased,
    and the average then starts at that step's mean. (The authors start at 0, which for rewards far from 0 pushes the
    first few hundred samples all the same way.)

    Its two scalars are buffers.

    Args:
        decay: Weight of the old average at each reward, in [0, 1).

    Raises:
        AvnasError: The decay is out of range.
    """

    value: Tensor
    started: Tensor

    def __init__(self, decay: float = 0.99) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise AvnasError(f"strategy.decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self.register_buffer("value", torch.zeros(()))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def advantages(self, rewards: Tensor) -> Tensor:
        """Each reward minus the average so far; changes nothing.

        Args:
            rewards: Of the M samples of one step, (M,), M at least 2 in the first step.

        Returns:
            The advantages, (M,).
        """
        return rewards - self.value.to(rewards) if self.started else above_others(rewards)

    def update(self, rewards: Tensor) -> None:
        """Update the average by the rewards of one step, in their order.

        Args:
            rewards: (M,).
        """
        value = float(self.value)
        if self.started:
            for reward in rewards.tolist():
                value = self.decay * value + (1 - self.decay) * reward
        else:
            value = float(rewards.mean())
        self.value.fill_(value)
        self.started.fill_(True)


class PolicyGradient(nn.Module):
    """A policy and its learning rule.

    Args:
        policy: Draws architectures.
        decay: Of the moving baseline.
        entropy_weight: Weight, in the reward, of the entropy of a sample's distributions, without a gradient.
        entropy_gradient: Add the entropy's own gradient as well, for the full gradient of the policy's entropy.
        advantage: Reference of a reward: the `moving` baseline, the `others` of its step, or `standardized`.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(
        self,
        policy: Policy,
        decay: float = 0.99,
        entropy_weight: float = 1e-4,
        entropy_gradient: bool = False,
        advantage: Literal["moving", "others", "standardized"] = "moving",
    ) -> None:
        super().__init__()
        if not entropy_weight >= 0:
            raise AvnasError(f"strategy.entropy_weight must not be negative, got {entropy_weight}")
        if advantage not in ("moving", "others", "standardized"):
            raise AvnasError(f"strategy.advantage must be moving, others or standardized, got {advantage!r}")
        self.policy = policy
        self.baseline = MovingBaseline(decay)
        self.entropy_weight = entropy_weight
        self.entropy_gradient = entropy_gradient
        self.advantage = advantage

    def learn(self, decoded: Decoded, rewards: Tensor) -> Tensor:
        """The loss of one step; also updates the baseline.

        Args:
            decoded: The M samples.
            rewards: Their rewards without the entropy term, (M,).

        Returns:
            A scalar, to differentiate with respect to the policy's parameters.
        """
        rewards = rewards + self.entropy_weight * decoded.entropy.detach()
        ways = {"moving": self.baseline.advantages, "others": above_others, "standardized": standardized}
        advantages = ways[self.advantage](rewards)
        self.baseline.update(rewards)
        loss = reinforce_loss(decoded.log_probability, advantages)
        return loss - self.entropy_weight * decoded.entropy.mean() if self.entropy_gradient else loss
