"""The selective scan's back ends against its two plain forms, forward and backward, in one process.

python benchmarks/selective_scan.py
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from avhash_nas.kernels import scan_backend, selective_scan
from measuring import parse, write_json

SHAPES = ((64, 25, 128, 16), (32, 25, 1536, 16), (8, 200, 256, 16), (4, 800, 256, 16))
REPEATS = 5

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def textbook(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The recurrence, time step by time step, by slicing; autograd does the rest."""
    h = x.new_zeros(x.shape[0], x.shape[2], A.shape[1])
    y = []
    for t in range(x.shape[1]):
        h = torch.exp(delta[:, t, :, None] * A) * h + (delta[:, t] * x[:, t])[..., None] * B[:, t, None, :]
        y.append((h * C[:, t, None, :]).sum(-1))
    return torch.stack(y, 1)


def unbound(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The same over unbound time steps, with a batched product for the output."""
    h = x.new_zeros(x.shape[0], x.shape[2], A.shape[1])
    y = []
    for x_t, delta_t, b_t, c_t in zip(x.unbind(1), delta.unbind(1), B.unbind(1), C.unbind(1), strict=True):
        h = torch.exp(delta_t[..., None] * A) * h + (delta_t * x_t)[..., None] * b_t[:, None, :]
        y.append(torch.bmm(h, c_t[..., None]).squeeze(-1))
    return torch.stack(y, 1)


def inputs(videos: int, steps: int, channels: int, states: int) -> list[Tensor]:
    """x, delta, A, B, C of the sizes that Mamba starts with."""
    torch.manual_seed(0)
    sequence = (videos, steps, channels)
    delta = torch.nn.functional.softplus(torch.randn(sequence) - 3)
    decay = -torch.arange(1.0, states + 1).repeat(channels, 1)
    made = [torch.randn(sequence), delta, decay, torch.randn(videos, steps, states), torch.randn(videos, steps, states)]
    return [tensor.requires_grad_() for tensor in made]


def seconds(scan: Scan, tensors: Sequence[Tensor]) -> tuple[float, float]:
    """Median seconds of a forward and of a backward pass."""
    forward, backward = [], []
    for _ in range(REPEATS + 1):
        for tensor in tensors:
            tensor.grad = None
        start = time.perf_counter()
        y = scan(*tensors)
        middle = time.perf_counter()
        y.backward(torch.ones_like(y))
        forward.append(middle - start)
        backward.append(time.perf_counter() - middle)
    return statistics.median(forward[1:]), statistics.median(backward[1:])


def rates() -> float:
    """Seconds that this machine takes for one exp of float32, in PyTorch, on what its cache holds."""
    values = torch.rand(2**16)
    taken = []
    for _ in range(200):
        start = time.perf_counter()
        torch.exp(values, out=values.clone())
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) / len(values)


def main() -> None:
    """Print one line a shape: the compiled operator's time, and how many times as long the others take; write JSON."""
    options = parse(argparse.ArgumentParser(description=__doc__))
    rows = []
    torch.set_num_threads(1)
    print(f"back end by default: {scan_backend()}")
    native, in_pytorch = partial(selective_scan, backend="native"), partial(selective_scan, backend="torch")
    alternatives = {"torch": in_pytorch, "unbound": unbound, "textbook": textbook}
    one = rates()
    print("(B, T, E, N)           native fwd + bwd   exps alone   " + "".join(f"{name:>18}" for name in alternatives))
    for shape in SHAPES:
        tensors = inputs(*shape)
        own = seconds(native, tensors)
        others = {name: seconds(scan, tensors) for name, scan in alternatives.items()}
        ratios = [
            "  ".join(f"{plain / ours:5.1f}x" for plain, ours in zip(other, own, strict=True))
            for other in others.values()
        ]
        exps = math.prod(shape) * one
        rows.append({"shape": shape, "exps_seconds": exps, "forward_backward_seconds": {"native": own, **others}})
        print(
            f"{shape!s:22} {own[0] * 1e3:7.1f} + {own[1] * 1e3:6.1f} ms  {exps * 1e3:6.1f} ms   "
            + "".join(f"{ratio:>18}" for ratio in ratios),
            flush=True,
        )
    write_json("selective_scan", rows, options)


if __name__ == "__main__":
    main()
