"""A loader of an epoch's batches that goes on exactly where training stopped."""

import os
from collections.abc import Callable, Iterator

from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from avhash_nas.data.batch import Batch
from avhash_nas.data.loading import Batches, Rows


class EpochSampler(DistributedSampler[Rows]):
    """The batches of an epoch in their order, from where training stopped.

    As it is a ``DistributedSampler``, Lightning leaves it in place and calls ``set_epoch``.

    Args:
        batches: The epoch's batches.
        progress: Tells the epoch that training is in and how many of its batches are done.
    """

    def __init__(self, batches: Batches, progress: Callable[[], tuple[int, int]] = lambda: (0, 0)) -> None:
        super().__init__(batches, num_replicas=1, rank=0, shuffle=False)
        self.batches = batches
        self.progress = progress
        self.start = 0
        # Workers read ahead as soon as an iterator is made, which in a resumed run is before `set_epoch`.
        self.set_epoch(progress()[0])

    def __iter__(self) -> Iterator[Rows]:
        start, self.start = self.start, 0
        plan = self.batches.plan(self.epoch)
        for number in range(start, len(self.batches)):
            yield plan(number)

    def state_dict(self) -> dict[str, int]:
        """Where training is: the epoch, and the batches of it that are done."""
        epoch, done = self.progress()
        return {"epoch": epoch, "done": done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next iteration start where training was, on however many ranks that was.

        Args:
            state: What ``state_dict`` gave.
        """
        self.set_epoch(state["epoch"])
        self.start = state["done"] % len(self)


def in_own_group(worker: int) -> None:  # noqa: ARG001
    """Takes a loader's worker out of the process group of the process that trains.

    Launchers send a signal to stop to the whole group. A worker would die of it, and training of that, at once; it has
    to end the present step first. Workers end by themselves when the process that they read for does.

    Args:
        worker: Number of the worker, from DataLoader.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)


class BatchLoader(DataLoader[Batch]):
    """A loader that goes on exactly where training stopped, within an epoch too.

    Lightning saves the state of training loaders that have one. The state counts the batches that training has done, as
    workers have already read further.
    """

    def state_dict(self) -> dict[str, int]:
        """Where training is; empty when Lightning has replaced the sampler (``overfit_batches``)."""
        return self.sampler.state_dict() if isinstance(self.sampler, EpochSampler) else {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next iteration start where training was.

        Args:
            state: What ``state_dict`` gave.
        """
        if isinstance(self.sampler, EpochSampler) and state:
            self.sampler.load_state_dict(state)
