"""What the processes of one training run tell each other: rows of a batch, gradients, decisions.

W ranks train on one global batch of which each holds a share. The loss is that of the whole batch, computed on every
rank from the rows of all (`gather_rows`). A rank's gradient is then W times its share's part of the global gradient, so
that the mean over the ranks, which DDP takes for the weights and `all_reduce_mean` for everything else, is the gradient
that one process with the whole batch computes.

In a single process nothing here communicates; otherwise all ranks must make the same calls, in the same order.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import Tensor, distributed

T = TypeVar("T")


def rank() -> int:
    """This process's rank, as Lightning tells it to the processes that it starts; 0 without any."""
    return int(getattr(rank_zero_only, "rank", 0))


def world_size() -> int:
    """Number of ranks, W; 1 outside distributed training."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all ranks, in the order of the ranks.

    Differentiable to any order: backward gives a rank W times the gradient of its own rows, and the mean over the ranks
    of what follows from that is the gradient of the global batch (see the module's docstring). It holds for a loss that
    all ranks compute alike from what is gathered.

    Args:
        rows: This rank's rows, of shape (B_r, ...); B_r may differ between ranks and may be 0, the rest may not.

    Returns:
        Shape (sum of B_r, ...); `rows` itself in a single process.
    """
    if world_size() == 1:
        return rows
    sizes = _sizes(rows)
    if rows.dtype == torch.bool:
        return _gathered(rows.byte(), sizes).bool()
    if not rows.is_floating_point():
        return _gathered(rows, sizes)
    gathered: Tensor = _GatherRows.apply(rows, sizes, 1.0)  # type: ignore[no-untyped-call]
    return gathered


def apply_to_all_rows(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """What a function makes of this rank's rows when it sees the rows of all ranks.

    Differentiable to any order, in the sense of `gather_rows`; the function may have parameters.

    Args:
        function: Keeps number and order of the rows; the same on every rank.
        rows: This rank's rows, of shape (B_r, ...).

    Returns:
        Shape (B_r, ...); `function(rows)` in a single process.
    """
    if world_size() == 1:
        return function(rows)
    sizes = _sizes(rows)
    everything = _GatherRows.apply(rows, sizes, 1.0)  # type: ignore[no-untyped-call]
    own: Tensor = _OwnRows.apply(function(everything), sizes, 1.0)  # type: ignore[no-untyped-call]
    return own


def all_reduce_mean(parameters: Iterable[Tensor]) -> None:
    """Replaces every gradient by its mean over the ranks, in place.

    A rank without a gradient counts as zero; where no rank has one there will be none.

    Args:
        parameters: The same ones, in the same order, on every rank, all on one device.
    """
    ranks = world_size()
    wanted = list(parameters)
    if ranks == 1 or not wanted:
        return
    present = torch.tensor([float(parameter.grad is not None) for parameter in wanted], device=wanted[0].device)
    grads = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in wanted]
    flat = torch.cat([present, *(grad.detach().reshape(-1) for grad in grads)])
    distributed.all_reduce(flat)
    flat /= ranks
    start = len(wanted)
    for parameter, anywhere in zip(wanted, flat[:start].tolist(), strict=True):
        end = start + parameter.numel()
        if anywhere:
            parameter.grad = flat[start:end].to(parameter.dtype, copy=True).view_as(parameter)
        start = end


def of_first_rank(value: T) -> T:
    """What rank 0 has, on every rank.

    Args:
        value: Anything that can be pickled; what the other ranks give is not used.
    """
    if world_size() == 1:
        return value
    box: list[Any] = [value]
    distributed.broadcast_object_list(box, src=0, device=_device())
    first: T = box[0]
    return first


def highest(value: int) -> int:
    """The highest of the ranks' numbers, on every rank."""
    if world_size() == 1:
        return value
    number = torch.tensor(value, device=_device())
    distributed.all_reduce(number, distributed.ReduceOp.MAX)
    return int(number)


class _GatherRows(torch.autograd.Function):
    """The rows of all ranks, times a factor.

    Backward: this rank's rows, times W as well, as the mean over the ranks will divide by it.
    """

    @staticmethod
    def forward(rows: Tensor, sizes: list[int], factor: float) -> Tensor:
        return _gathered(rows, sizes) * factor

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, list[int], float], output: Tensor) -> None:  # noqa: ARG004
        _, ctx.sizes, ctx.factor = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        own: Tensor = _OwnRows.apply(gradient, ctx.sizes, ctx.factor * len(ctx.sizes))  # type: ignore[no-untyped-call]
        return own, None, None


class _OwnRows(torch.autograd.Function):
    """This rank's rows of those of all ranks, times a factor.

    Backward: the gradients of all ranks' rows, divided by W, as they come multiplied by it.
    """

    @staticmethod
    def forward(rows: Tensor, sizes: list[int], factor: float) -> Tensor:
        rank = distributed.get_rank()
        return rows[sum(sizes[:rank]) : sum(sizes[: rank + 1])] * factor

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, list[int], float], output: Tensor) -> None:  # noqa: ARG004
        _, ctx.sizes, ctx.factor = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        every: Tensor = _GatherRows.apply(gradient, ctx.sizes, ctx.factor / len(ctx.sizes))  # type: ignore[no-untyped-call]
        return every, None, None


def _device() -> torch.device:
    """Where what the ranks send must lie."""
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _sizes(rows: Tensor) -> list[int]:
    """Number of rows of each rank."""
    sizes = torch.empty(world_size(), 1, dtype=torch.int64, device=rows.device)
    distributed.all_gather(list(sizes), torch.full_like(sizes[0], len(rows)))
    return [int(size) for size in sizes.flatten().tolist()]


def _gathered(rows: Tensor, sizes: list[int]) -> Tensor:
    """The rows of all ranks; those of the smaller shares travel padded to the largest."""
    largest = max(sizes)
    padded = rows.new_zeros(largest, *rows.shape[1:])
    padded[: len(rows)] = rows
    shares = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(shares, padded)
    return torch.cat([share[:size] for share, size in zip(shares, sizes)])
