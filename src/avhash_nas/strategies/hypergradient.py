"""The gradient of the validation loss after one weight step by the architecture parameters: DARTS of second order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from avhash_nas.distributed import all_reduce_mean
from avhash_nas.strategies.virtual_step import PullBack, total_norm

P = ParamSpec("P")
R = TypeVar("R")

Loss = Callable[[Mapping[str, Tensor]], Tensor]
"""A loss as a function of the weights, by name. The architecture parameters lie in its closure."""

Step = Callable[[Mapping[str, nn.Parameter], Mapping[str, Tensor]], tuple[dict[str, Tensor], PullBack]]
"""What a weight step makes of weights and a gradient, and the pull-back through it: a VirtualStep."""


def hypergradient(
    train: Loss,
    val: Loss,
    weights: Mapping[str, nn.Parameter],
    alphas: Sequence[Tensor],
    step: Step,
    epsilon: float = 0.01,
) -> list[Tensor]:
    """The gradient of val(w'(alpha), alpha) by alpha, where w'(alpha) is what a step on train(w, alpha) makes of w.

    With g = d train / dw, w' = step(w, g), J = dw'/dg and v = d val / dw' it is (Liu et al. 2019, Eq. 7 and 8)

        d val(w', alpha) / d alpha + (d^2 train / d alpha dw) J^T v.

    Of the second derivative only its product with u = J^T v is needed, a central difference: train's alpha gradient at
    w + h u less that at w - h u, divided by 2 h, with h = epsilon / |u|. That is exact where train is quadratic in w.
    The authors of DARTS have plain SGD, J = -lr I, in mind; and some codes that follow theirs multiply by h where they
    should divide.

    Args:
        train: Deterministic: it is taken at three points, and dropout masks have to be the same ones (`replayed`).
        val: Taken once.
        weights: The network's own parameters; neither they nor their `.grad` are touched.
        alphas: Architecture parameters; their `.grad` is not touched.
        step: The weight step.
        epsilon: Length of the way from w to either side; 0.01 in DARTS.

    Returns:
        One gradient for each of `alphas`, of this rank's share as far as alpha is concerned: it is left to average them
        over ranks. Where J is 0 (a learning rate of 0) it is the first-order gradient, bit for bit.
    """
    gradient, _ = _gradients(train, {name: weight.detach() for name, weight in weights.items()}, ())
    after, pull_back = step(weights, gradient)
    slope, direct = _gradients(val, after, alphas)
    direction = pull_back({name: slope.get(name, torch.zeros_like(value)) for name, value in after.items()})
    indirect = mixed_derivative(train, weights, alphas, direction, epsilon)
    return [one + other for one, other in zip(direct, indirect, strict=True)]


def mixed_derivative(
    loss: Loss,
    weights: Mapping[str, Tensor],
    alphas: Sequence[Tensor],
    direction: Mapping[str, Tensor],
    epsilon: float = 0.01,
) -> list[Tensor]:
    """(d^2 loss / d alpha dw) u by a central difference along u, over a way of length `epsilon` to either side.

    Args:
        loss: Deterministic.
        weights: w. They stay as they are: changing them and changing them back does not restore every float.
        alphas: Architecture parameters.
        direction: u; zero for weights that it does not name.
        epsilon: Above 0.

    Returns:
        One tensor for each of `alphas`; zeros if u is zero.
    """
    length = float(total_norm(direction)) if direction else 0.0
    if length == 0:
        return [torch.zeros_like(alpha) for alpha in alphas]
    h = epsilon / length

    def at(offset: float) -> tuple[Tensor, ...]:
        moved = {name: weight.detach() for name, weight in weights.items()}
        moved |= {name: torch.add(moved[name], u, alpha=offset) for name, u in direction.items()}
        return torch.autograd.grad(loss(moved), list(alphas), materialize_grads=True)

    return [(plus - minus) / (2 * h) for plus, minus in zip(at(h), at(-h), strict=True)]


def replayed(function: Callable[P, R], device: torch.device) -> Callable[P, R]:
    """The function with the same random numbers at every call: those that torch would draw next, now.

    Args:
        function: Draws on torch's generators, of the CPU and of `device`.
        device: Where it computes.
    """
    accelerator = None if device.type == "cpu" else torch.get_device_module(device)
    state = torch.get_rng_state()
    device_state = None if accelerator is None else accelerator.get_rng_state(device)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        torch.set_rng_state(state)
        if accelerator is not None:
            accelerator.set_rng_state(device_state, device)
        return function(*args, **kwargs)

    return call


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast and no TF32 within the block: a step of `epsilon` would drown in their rounding.

    Args:
        device: Where is computed.
    """
    matmul, convolution = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolution


def _gradients(
    loss: Loss, weights: Mapping[str, Tensor], alphas: Sequence[Tensor]
) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
    """A loss's gradients by the weights that it uses, by name, the mean over ranks; and by alpha, this rank's."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    inputs = [*alphas, *leaves.values()]
    found = torch.autograd.grad(loss(leaves), inputs, allow_unused=True)
    by_alpha = [torch.zeros_like(alpha) if one is None else one for alpha, one in zip(alphas, found)]
    for leaf, gradient in zip(leaves.values(), found[len(alphas) :], strict=True):
        leaf.grad = gradient
    all_reduce_mean(leaves.values())
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}, tuple(by_alpha)
