"""What a training step holds in memory, counted and not sampled.

python benchmarks/saved_bytes.py --width 128 --batch 32
"""

import argparse
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from avhash_nas.data import Batch
from avhash_nas.networks import AudioVisualNetwork, HashNetwork, Route, mixture_route
from avhash_nas.space import load_space
from measuring import parse, write_json


class _Kept:
    """What a graph holds in place of a saved tensor; gone when the graph is."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()


def saved_bytes(network: HashNetwork, batch: Batch, route: Route | None = None) -> int:
    """Bytes of activations that a forward pass keeps for its backward pass.

    A storage that several nodes keep counts once. Parameters, buffers and the batch itself are not counted. Under
    activation checkpointing it is what is left between the passes; see `peak_bytes`.

    Args:
        network: In the mode, and under the autocast, that is to be measured.
        batch: Of the size that is to be measured.
        route: What a supernet runs.
    """
    kept: list[weakref.ref[_Kept]] = []

    def keep(tensor: Tensor) -> _Kept:
        holder = _Kept(tensor)
        kept.append(weakref.ref(holder))
        return holder

    with saved_tensors_hooks(keep, lambda holder: holder.tensor):
        codes = network(batch.visual, batch.audio, route)
    held = {}
    for reference in kept:
        if (holder := reference()) is not None:
            storage = holder.tensor.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
    given = [*network.parameters(), *network.buffers(), batch.visual, batch.audio]
    for tensor in given:
        held.pop(tensor.untyped_storage().data_ptr(), None)
    del codes
    return sum(held.values())


class _Storages(TorchDispatchMode):
    """Counts the bytes of all storages that operators have made and that are still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {
            tensor.untyped_storage()._cdata for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)
        }
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self._known and storage._cdata not in given:
                    self._add(storage)
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def peak_bytes(step: Callable[[], object]) -> int:
    """Bytes of tensors made within a step that are alive at once, at most.

    It counts what operators return: gradients, temporaries, what checkpointing computes again. What an
    operator allocates within itself and frees again is not seen, nor is what was there before.

    Args:
        step: Forward and backward pass, for example.
    """
    with _Storages() as storages:
        step()
    return storages.peak


def random_batch(videos: int, frames: int, width: int) -> Batch:
    """Features of one width, without labels."""
    visual, audio = torch.randn(2, videos, frames, width)
    return Batch(visual, audio, torch.zeros(videos, 1, dtype=torch.bool), torch.arange(videos))


def main() -> None:
    """Print bytes for each video and time step: of the mixture of all candidates, and of single paths; write JSON."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--width", type=int, default=128)
    options.add_argument("--heads", type=int, default=4)
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--frames", type=int, default=25)
    chosen = parse(options, batch=8)
    rows = []
    space = load_space("full")
    network = AudioVisualNetwork(chosen.width, chosen.width, 64, space, width=chosen.width, heads=chosen.heads)
    batch = random_batch(chosen.batch, chosen.frames, chosen.width)
    weights = {cell.name: torch.full((len(cell.candidates),), 0.5).requires_grad_() for cell in space.cells}
    routes: dict[str, Route] = {"mixture of all candidates": mixture_route(weights)}
    for place in ("first", "last"):
        routes[f"{place} candidate of each cell"] = {
            cell.name: 0 if place == "first" else len(cell.candidates) - 1 for cell in space.cells
        }
    for name, route in routes.items():
        held = saved_bytes(network, batch, route)
        peak = peak_bytes(lambda route=route: network(batch.visual, batch.audio, route).sum().backward())
        network.zero_grad()
        each = chosen.batch * chosen.frames
        rows.append({"route": name, "saved_bytes": held / each, "peak_bytes": peak / each})
        print(f"{name:30} saved {held / each:10.0f}, at most alive {peak / each:10.0f} bytes a video and time step")
    write_json("saved_bytes", rows, chosen)


if __name__ == "__main__":
    main()
