"""The step of a torch optimizer as a function of the gradient, and its derivative."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from avhash_nas.errors import AvnasError

PullBack = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
"""Maps a derivative r with respect to the weights after a step to that with respect to the step's gradient, J^T r."""


class VirtualStep:
    """w'(g): the weights after `optimizer.step()` with a gradient g, computed without changing anything.

    The DARTS authors' code always unrolls SGD with momentum, and silently leaves out the momentum if the optimizer has
    none of that name. Here it is the step of the actual optimizer, gradient clipping included.

    Args:
        optimizer: Of the weights. Its state and the present settings of its groups are read at each call.
        clip: Limit of gradient clipping; None or 0 for no clipping.
        by_value: Clip each element to [-clip, clip] instead of the norm of the whole gradient to `clip`.

    Raises:
        AvnasError: The optimizer is not SGD, Adam or AdamW, or is one with amsgrad or maximize.
    """

    def __init__(self, optimizer: Optimizer, clip: float | None = None, *, by_value: bool = False) -> None:
        name = type(optimizer).__name__
        if type(optimizer) not in (SGD, Adam, AdamW):
            raise AvnasError(f"strategy.order=2 must know how the weights step: SGD, Adam or AdamW, got {name}")
        if any(group.get(option) for group in optimizer.param_groups for option in ("amsgrad", "maximize")):
            raise AvnasError(f"strategy.order=2 must know how the weights step, got {name} with amsgrad or maximize")
        self.optimizer = optimizer
        self.clip = clip
        self.by_value = by_value

    def __call__(
        self, weights: Mapping[str, nn.Parameter], gradient: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], PullBack]:
        """The weights after the step, and the pull-back through it.

        Args:
            weights: The optimizer's own parameters, by name; not changed.
            gradient: Mean gradient over ranks, by name. As in torch, weights without one do not move.

        Returns:
            All weights, by name, without a graph; and r to J^T r, where J = dw'/dg.
        """
        clipped, unclip = self._clip(gradient)
        groups = {id(parameter): group for group in self.optimizer.param_groups for parameter in group["params"]}
        after = {name: weight.detach() for name, weight in weights.items()}
        slopes: dict[str, Tensor] = {}
        for name, weight in weights.items():
            if name in clipped and id(weight) in groups:
                state, group = self.optimizer.state.get(weight, {}), groups[id(weight)]
                after[name], slopes[name] = self._rule(weight.detach(), clipped[name], state, group)

        def pull_back(derivative: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return unclip({name: slope * derivative[name] for name, slope in slopes.items()})

        return after, pull_back

    def _rule(
        self, weight: Tensor, gradient: Tensor, state: Mapping[str, Any], group: Mapping[str, Any]
    ) -> tuple[Tensor, Tensor]:
        if isinstance(self.optimizer, SGD):
            return sgd_step(weight, gradient, state, group)
        if isinstance(self.optimizer, AdamW):  # decoupled: the decay bypasses the moments
            return adam_step(weight * (1 - float(group["lr"]) * group["weight_decay"]), gradient, state, group)
        return adam_step(weight, gradient + group["weight_decay"] * weight, state, group)

    def _clip(self, gradient: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], PullBack]:
        if not self.clip:
            return gradient, dict
        return clip_by_value(gradient, self.clip) if self.by_value else clip_by_norm(gradient, self.clip)


def adam_step(
    weight: Tensor, gradient: Tensor, state: Mapping[str, Any], group: Mapping[str, Any]
) -> tuple[Tensor, Tensor]:
    """One step of Adam, and its elementwise derivative with respect to the gradient.

    The gradient enters through both moments. With m' = b1 m + (1 - b1) g and s' = b2 s + (1 - b2) g^2, the corrections
    c1 = 1 - b1^t and c2 = 1 - b2^t, and D = sqrt(s' / c2) + eps,

        w' = w - lr / c1 * m' / D,
        dw'/dg = -lr / c1 * ((1 - b1) / D - m' / D^2 * (1 - b2) g / sqrt(s' c2)),

    where the last fraction is 0, its limit, if s' is 0.

    Args:
        weight: After weight decay, if that is decoupled.
        gradient: With weight decay, if that is not.
        state: The optimizer's state of this weight; empty before its first step.
        group: The settings `lr`, `betas` and `eps`.

    Returns:
        The new weight, and the derivative, both of its shape.
    """
    (beta1, beta2), eps = group["betas"], group["eps"]
    steps = float(state["step"]) + 1 if state else 1.0
    first, second = (state["exp_avg"], state["exp_avg_sq"]) if state else (torch.zeros_like(weight),) * 2
    correction1, correction2 = 1 - beta1**steps, 1 - beta2**steps
    first = beta1 * first + (1 - beta1) * gradient
    root = (beta2 * second + (1 - beta2) * gradient**2).sqrt()
    divisor = root / correction2**0.5 + eps
    rate = float(group["lr"]) / correction1
    by_second = torch.where(root > 0, (1 - beta2) * gradient / (root * correction2**0.5), 0.0)
    slope = -rate * ((1 - beta1) / divisor - first / divisor**2 * by_second)
    return weight - rate * first / divisor, slope


def sgd_step(
    weight: Tensor, gradient: Tensor, state: Mapping[str, Any], group: Mapping[str, Any]
) -> tuple[Tensor, Tensor]:
    """One step of SGD with momentum, dampening and Nesterov momentum, and its derivative with respect to the gradient.

    Args:
        weight: Before the step.
        gradient: Without weight decay, which is added to it here.
        state: The optimizer's state of this weight; its first buffer is the undampened gradient.
        group: The settings `lr`, `momentum`, `dampening`, `nesterov` and `weight_decay`.

    Returns:
        The new weight, and the derivative, both of its shape.
    """
    lr, momentum = float(group["lr"]), group["momentum"]
    gradient = gradient + group["weight_decay"] * weight
    buffer, share = gradient, 1.0
    if momentum and state.get("momentum_buffer") is not None:
        share = 1 - group["dampening"]
        buffer = momentum * state["momentum_buffer"] + share * gradient
    if group["nesterov"]:
        buffer, share = gradient + momentum * buffer, 1 + momentum * share
    return weight - lr * buffer, torch.full_like(weight, -lr * share)


def clip_by_norm(gradient: Mapping[str, Tensor], limit: float) -> tuple[dict[str, Tensor], PullBack]:
    """The gradient times c = limit / (n + 1e-6), where n is its norm, if c is less than 1; as in torch.

    Where it is clipped, J = c I - c / ((n + 1e-6) n) g g^T, which is symmetric.
    """
    norm = total_norm(gradient)
    scale = limit / (norm + 1e-6)
    if scale >= 1:
        return dict(gradient), dict
    clipped = {name: scale * value for name, value in gradient.items()}

    def pull_back(derivative: Mapping[str, Tensor]) -> dict[str, Tensor]:
        along = sum((gradient[name] * value).sum() for name, value in derivative.items()) / ((norm + 1e-6) * norm)
        return {name: scale * (value - along * gradient[name]) for name, value in derivative.items()}

    return clipped, pull_back


def clip_by_value(gradient: Mapping[str, Tensor], limit: float) -> tuple[dict[str, Tensor], PullBack]:
    """The gradient with each element clamped to [-limit, limit]; clamped elements have the derivative 0."""
    clipped = {name: value.clamp(-limit, limit) for name, value in gradient.items()}

    def pull_back(derivative: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.where(gradient[name].abs() <= limit, r, 0.0) for name, r in derivative.items()}

    return clipped, pull_back


def total_norm(tensors: Mapping[str, Tensor]) -> Tensor:
    """The Euclidean norm of all tensors together, a scalar."""
    norms = [torch.linalg.vector_norm(tensor) for tensor in tensors.values()]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return norm
