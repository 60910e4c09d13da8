"""Second-order DARTS: the gradient of the validation loss after one weight step with respect to alpha."""

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
"""A loss as a function of the weights, by name. Its closure holds the architecture parameters."""

Step = Callable[[Mapping[str, nn.Parameter], Mapping[str, Tensor]], tuple[dict[str, Tensor], PullBack]]
"""From weights and a gradient to the weights after a step and the pull-back through it: a VirtualStep."""


def hypergradient(
    train: Loss,
    val: Loss,
    weights: Mapping[str, nn.Parameter],
    alphas: Sequence[Tensor],
    step: Step,
    epsilon: float = 0.01,
) -> list[Tensor]:
    """Gradient of val(w'(alpha), alpha) with respect to alpha, where w'(alpha) is w after a step on train(w, alpha).

    With g = d train / dw, w' = step(w, g), J = dw'/dg and v = d val / dw' it is (Liu et al. 2019, Eq. 7 and 8)

        d val(w', alpha) / d alpha + (d^2 train / d alpha dw) J^T v.

    Only the product of the second derivative with u = J^T v is needed, a central difference: the alpha gradient of
    train at w + h u minus that at w - h u, divided by 2 h, with h = epsilon / |u|. It is exact where train is quadratic
    in w. The DARTS paper assumes plain SGD, J = -lr I; some implementations multiply by h where they should divide.

    Args:
        train: Deterministic: it is evaluated at three points, with the same dropout masks (`replayed`).
        val: Evaluated once.
        weights: The network's own parameters; neither they nor their `.grad` are changed.
        alphas: Architecture parameters; their `.grad` is not changed.
        step: The weight step.
        epsilon: Distance from w to either side of the difference; 0.01 in DARTS.

    Returns:
        One gradient for each of `alphas`, which the caller has to average over ranks. Where J is 0 (a learning rate of
        0) it is the first-order gradient, bit for bit.
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
    """(d^2 loss / d alpha dw) u by a central difference along u, over a distance `epsilon` to either side.

    Args:
        loss: Deterministic.
        weights: w; not changed, as adding and subtracting does not restore every float.
        alphas: Architecture parameters.
        direction: u, by name; zero for other weights.
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
    """The function with the same random numbers at every call: those that torch would draw next.

    Args:
        function: Draws from torch's generators of the CPU and of `device`.
        device: Device it computes on.
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
    """No autocast and no TF32 within the block: their rounding would hide a difference of `epsilon`."""
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
    """Gradients with respect to the weights that the loss uses, averaged over ranks, and to alpha, of this rank."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    inputs = [*alphas, *leaves.values()]
    gradients = torch.autograd.grad(loss(leaves), inputs, allow_unused=True)
    by_alpha = [torch.zeros_like(alpha) if one is None else one for alpha, one in zip(alphas, gradients)]
    for leaf, gradient in zip(leaves.values(), gradients[len(alphas) :], strict=True):
        leaf.grad = gradient
    all_reduce_mean(leaves.values())
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}, tuple(by_alpha)
