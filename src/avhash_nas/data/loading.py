"""From videos on disk to ready batches, and the order in which a rank gets them."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from avhash_nas.data.batch import Batch
from avhash_nas.data.features import Features
from avhash_nas.data.sampling import BatchSampling, Labels

Rows = NDArray[np.int64]


class Videos:
    """All videos of a data set: both modalities and the labels.

    Args:
        visual: Visual features, V videos.
        audio: Audio features of the same videos.
        labels: Multi-hot labels, (V, C).
    """

    def __init__(self, visual: Features, audio: Features, labels: Labels) -> None:
        self.visual = visual
        self.audio = audio
        self.labels = labels

    def batch(self, rows: Rows) -> Batch:
        """Copies some videos.

        Args:
            rows: Their rows, (B,).
        """
        rows = np.asarray(rows, np.int64)
        return Batch(
            torch.from_numpy(self.visual.read(rows)),
            torch.from_numpy(self.audio.read(rows)),
            torch.from_numpy(self.labels[rows]),
            torch.from_numpy(rows),
        )


class Batches(Dataset[Batch], ABC):
    """The batches of an epoch over all ranks, as a data set whose items are whole batches.

    An item is asked for by its rows, as ``RankSampler`` does, or by its number in epoch 0, as Lightning does when
    ``overfit_batches`` puts a sequential sampler in its place.

    Args:
        videos: Where the batches come from.
    """

    def __init__(self, videos: Videos) -> None:
        self.videos = videos

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch, over all ranks."""

    @abstractmethod
    def plan(self, epoch: int) -> Callable[[int], Rows]:
        """The function batch number -> rows of an epoch, for numbers from 0 to ``len`` - 1.

        Args:
            epoch: Epoch, counted from 0.
        """

    def __getitem__(self, key: int | Rows) -> Batch:
        return self.videos.batch(key if isinstance(key, np.ndarray) else self.plan(0)(key))


class SampledBatches(Batches):
    """Batches that a sampling draws from some videos.

    Args:
        videos: Where the batches come from.
        rows: The videos to draw from.
        sampling: How to draw.
        seed: Seed of the run.
        count: Batches of an epoch; by default as many as the sampling needs for these videos. Otherwise the epochs of
            the sampling follow each other without a break, and epochs of `count` batches are cut from that stream.
    """

    def __init__(
        self, videos: Videos, rows: Rows, sampling: BatchSampling, seed: int, count: int | None = None
    ) -> None:
        super().__init__(videos)
        self.rows = rows
        self.sampling = sampling
        self.seed = seed
        self._own = sampling.batches_per_epoch(videos.labels[rows])
        self._count = self._own if count is None else count

    def __len__(self) -> int:
        return self._count

    def plan(self, epoch: int) -> Callable[[int], Rows]:
        """The function batch number -> rows of an epoch.

        Args:
            epoch: Epoch, counted from 0.
        """
        plan_of = cache(lambda own: self.sampling.epoch(self.videos.labels[self.rows], self.seed, own))

        def rows(number: int) -> Rows:
            own, place = divmod(epoch * self._count + number, self._own)
            chosen: Rows = self.rows[plan_of(own)(place)]
            return chosen

        return rows


class OrderedBatches(Batches):
    """Some videos in their order, each once, cut so that all ranks get equally many batches.

    Ranks whose batches differ in number would wait for each other forever where a step synchronises. Videos are
    repeated only when there are fewer of them than it takes to give every rank the same number of non-empty batches.

    Args:
        videos: Where the batches come from.
        rows: The videos wanted.
        batch_size: Videos in a batch, at most.
        ranks: Number of processes that share them.
    """

    def __init__(self, videos: Videos, rows: Rows, batch_size: int, ranks: int) -> None:
        super().__init__(videos)
        share = -(-len(rows) // ranks)
        steps = -(-share // batch_size)
        if len(rows) < steps * ranks:
            rows = np.resize(rows, steps * ranks)
        self._pieces = np.array_split(rows, steps * ranks)

    def __len__(self) -> int:
        return len(self._pieces)

    def plan(self, epoch: int) -> Callable[[int], Rows]:  # noqa: ARG002
        """The function batch number -> rows, the same in every epoch.

        Args:
            epoch: Not used.
        """
        return self._pieces.__getitem__


class RankSampler(DistributedSampler[Rows]):
    """The batches of one rank: elements rank, rank + W, rank + 2W, ... of the epoch's global stream.

    The last incomplete round is completed from the start of the stream, so all ranks do equally many steps, and
    the union over ranks is the epoch of a single rank. As it is a ``DistributedSampler``, Lightning leaves it in place
    and calls ``set_epoch``.

    Args:
        batches: The epoch's batches.
        ranks: W, number of processes.
        rank: This process, from 0 to W - 1.
        progress: Tells the epoch that training is in and how many of its batches each rank has done.
    """

    def __init__(
        self,
        batches: Batches,
        *,
        ranks: int = 1,
        rank: int = 0,
        progress: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        super().__init__(batches, num_replicas=ranks, rank=rank, shuffle=False)
        self.batches = batches
        self.progress = progress
        self.start = 0
        # Workers read ahead as soon as an iterator is made, which in a resumed run is before `set_epoch`.
        self.set_epoch(progress()[0])

    def __iter__(self) -> Iterator[Rows]:
        start, self.start = self.start, 0
        plan = self.batches.plan(self.epoch)
        for step in range(start, len(self)):
            yield plan((self.rank + step * self.num_replicas) % len(self.batches))

    def state_dict(self) -> dict[str, int]:
        """Where training is: the epoch, the batches of it that each rank has done, and the number of ranks."""
        epoch, done = self.progress()
        return {"epoch": epoch, "done": done, "ranks": self.num_replicas}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next iteration start where training was.

        Args:
            state: What ``state_dict`` gave.
        """
        self.set_epoch(state["epoch"])
        self.start = state["done"] % len(self)
        if self.start and state["ranks"] != self.num_replicas:
            warnings.warn(
                f"resumed within an epoch on {self.num_replicas} ranks after {state['ranks']}: until this epoch ends,"
                " batches differ from those of an uninterrupted run",
                stacklevel=2,
            )


class BatchLoader(DataLoader[Batch]):
    """A loader that goes on exactly where training stopped, within an epoch too.

    Lightning saves the state of training loaders that have one. The state counts the batches that training has done, as
    workers have already read further.
    """

    def state_dict(self) -> dict[str, int]:
        """Where training is; empty when Lightning has replaced the sampler (``overfit_batches``)."""
        return self.sampler.state_dict() if isinstance(self.sampler, RankSampler) else {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next iteration start where training was.

        Args:
            state: What ``state_dict`` gave.
        """
        if isinstance(self.sampler, RankSampler) and state:
            self.sampler.load_state_dict(state)
