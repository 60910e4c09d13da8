"""A data loader that resumes exactly where training stopped, within an epoch too."""

import math
import os
from collections.abc import Callable, Iterator
from typing import cast

from lightning import Trainer
from lightning.pytorch.loops.progress import _ProcessedTracker
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler
from typing_extensions import override

from avhash_nas.data.batch import Batch
from avhash_nas.data.loading import Batches, Rows


class EpochSampler(DistributedSampler[Rows]):
    """The batches of an epoch in order, from where training stopped.

    Because it is a ``DistributedSampler``, Lightning does not replace it and calls ``set_epoch``.

    Args:
        batches: The batches of an epoch.
        progress: Returns the current epoch of training and how many of its batches are done.
    """

    def __init__(self, batches: Batches, progress: Callable[[], tuple[int, int]] = lambda: (0, 0)) -> None:
        super().__init__(batches, num_replicas=1, rank=0, shuffle=False)
        self.batches = batches
        self.progress = progress
        self.start = 0
        # Workers prefetch as soon as an iterator is created, which in a resumed run is before `set_epoch`.
        self.set_epoch(progress()[0])

    @override
    def __iter__(self) -> Iterator[Rows]:
        start, self.start = self.start, 0
        plan = self.batches.plan(self.epoch)
        for number in range(start, len(self.batches)):
            yield plan(number)

    def state_dict(self) -> dict[str, int]:
        """The current epoch of training, and how many of its batches are done."""
        epoch, done = self.progress()
        return {"epoch": epoch, "done": done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next iteration start at the saved position, whatever the number of ranks was then."""
        self.set_epoch(state["epoch"])
        self.start = state["done"] % len(self)


class BatchLoader(DataLoader[Batch]):
    """A data loader with a state, which Lightning saves in checkpoints.

    The state counts the batches that training has processed, because workers have already read further.
    """

    def state_dict(self) -> dict[str, int]:
        """State of the sampler; empty if Lightning has replaced the sampler (``overfit_batches``)."""
        return self.sampler.state_dict() if isinstance(self.sampler, EpochSampler) else {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next iteration start at the saved position."""
        if isinstance(self.sampler, EpochSampler) and state:
            self.sampler.load_state_dict(state)


def batch_loader(
    batches: Batches,
    workers: int,
    pin_memory: bool,
    progress: Callable[[], tuple[int, int]] = lambda: (0, 0),
) -> BatchLoader:
    """A loader of one epoch's batches.

    Args:
        batches: The batches of an epoch.
        workers: Processes that prefetch batches; 0 reads in the main process.
        pin_memory: Page-locked batches for faster copies to a GPU.
        progress: As of ``EpochSampler``.
    """
    return BatchLoader(
        batches,
        sampler=EpochSampler(batches, progress),
        batch_size=None,  # an item is already a batch
        num_workers=workers,
        worker_init_fn=_leave_process_group,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
    )


def _leave_process_group(_worker: int) -> None:
    """Moves a loader worker out of the process group of the training process.

    Launchers send a stop signal to the whole group. It would kill the worker, and then training at once, although
    training has to finish the current step first. Workers exit by themselves when their parent process does.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)


def training_progress(trainer: Trainer | None) -> tuple[int, int]:
    """The current epoch of a fit, and how many of its batches are done; (0, 0) without a trainer."""
    if trainer is None:
        return 0, 0
    fit = trainer.fit_loop
    epochs = cast(_ProcessedTracker, fit.epoch_progress.current)
    batches = trainer.num_training_batches  # infinite until the training loader exists
    if epochs.started <= epochs.processed or not math.isfinite(batches):  # between two epochs
        return epochs.processed, 0
    # `processed`, because `completed` is one behind in on_train_batch_end, where checkpoints are written.
    processed = cast(_ProcessedTracker, fit.epoch_loop.batch_progress.current).processed
    whole_epochs, done = divmod(processed, int(batches))
    return epochs.processed + whole_epochs, done
