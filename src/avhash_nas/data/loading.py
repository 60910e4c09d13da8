"""From videos on disk to ready batches, and which of them a rank gets."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from avhash_nas.data.batch import Batch
from avhash_nas.data.features import Features
from avhash_nas.data.sampling import BatchSampling, Labels, Positions
from avhash_nas.errors import AvnasError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Rank:
    """Which of the processes of a training run this is.

    Attributes:
        number: From 0.
        count: How many there are, W.
    """

    number: int = 0
    count: int = 1

    def share(self, rows: Rows) -> Rows:
        """This rank's part of a global batch: what lies between the parts of its neighbors, as long as theirs or +-1.

        Args:
            rows: The batch, (B,).

        Raises:
            AvnasError: There is not a row for each rank.
        """
        if len(rows) < self.count:
            raise AvnasError(
                f"a batch of {len(rows)} videos cannot be shared by {self.count} processes: "
                "take larger batches or fewer processes"
            )
        part: Rows = np.array_split(rows, self.count)[self.number]
        return part


ALONE = Rank()
"""The only process there is."""


class Videos:
    """All videos of a dataset: both modalities and the labels.

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

        Both modalities lie in one piece of memory. The C library gives two pieces that are freed together back to the
        system, and to get them anew with every batch takes three times as long as to fill them.

        Args:
            rows: Their rows, (B,).
        """
        rows = np.asarray(rows, np.int64)
        shapes = [(len(rows), features.frames, features.dim) for features in (self.visual, self.audio)]
        memory = np.empty(sum(map(math.prod, shapes)), np.float32)
        visual, audio = np.split(memory, [math.prod(shapes[0])])
        return Batch(
            torch.from_numpy(self.visual.read(rows, visual.reshape(shapes[0]))),
            torch.from_numpy(self.audio.read(rows, audio.reshape(shapes[1]))),
            torch.from_numpy(self.labels[rows]),
            torch.from_numpy(rows),
        )


class Batches(Dataset[Batch], ABC):
    """A rank's batches of an epoch, as a dataset whose items are whole batches.

    An item is asked for by its rows, as ``EpochSampler`` does, or by its number in epoch 0, as Lightning does when
    ``overfit_batches`` puts a sequential sampler in its place.

    Args:
        videos: Where the batches come from.
    """

    def __init__(self, videos: Videos) -> None:
        self.videos = videos

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch, as many on every rank."""

    @abstractmethod
    def plan(self, epoch: int) -> Callable[[int], Rows]:
        """The function batch number -> rows of an epoch, for numbers from 0 to ``len`` - 1.

        Args:
            epoch: Epoch, counted from 0.
        """

    def __getitem__(self, key: int | Rows) -> Batch:
        return self.videos.batch(key if isinstance(key, np.ndarray) else self.plan(0)(key))


class SampledBatches(Batches):
    """A rank's shares of the batches that a sampling draws from some videos.

    Put together in the order of the ranks, the shares are the batch of a single process: a run has the same batches,
    and as many steps, whatever the number of ranks.

    Args:
        videos: Where the batches come from.
        rows: The videos to draw from.
        sampling: How to draw.
        seed: Seed of the run.
        count: Batches of an epoch; by default as many as the sampling needs for these videos. Otherwise the epochs of
            the sampling follow each other without a break, and epochs of `count` batches are cut from that stream.
        rank: Whose shares.

    Raises:
        AvnasError: The first or the last batch of an epoch has fewer videos than there are ranks.
    """

    def __init__(
        self,
        videos: Videos,
        rows: Rows,
        sampling: BatchSampling,
        seed: int,
        count: int | None = None,
        rank: Rank = ALONE,
    ) -> None:
        super().__init__(videos)
        self.rows = rows
        self.sampling = sampling
        self.seed = seed
        self._own = sampling.batches_per_epoch(videos.labels[rows])
        self._count = self._own if count is None else count
        self.rank = rank
        if rank.count > 1:  # better now than at the end of an epoch
            first_epoch = self.plan(0)
            for number in (0, self._own - 1):
                first_epoch(number)

    def __len__(self) -> int:
        return self._count

    def plan(self, epoch: int) -> Callable[[int], Rows]:
        """The function batch number -> rows of an epoch.

        Args:
            epoch: Epoch, counted from 0.
        """

        @lru_cache(maxsize=1)
        def plan_of(own: int) -> Callable[[int], Positions]:
            return self.sampling.epoch(self.videos.labels[self.rows], self.seed, own)

        def rows(number: int) -> Rows:
            own, place = divmod(epoch * self._count + number, self._own)
            return self.rank.share(self.rows[plan_of(own)(place)])

        return rows


class OrderedBatches(Batches):
    """A rank's batches of some videos in their order, cut so that all ranks get equally many.

    Over all ranks each video comes once. Ranks whose batches differ in number would wait for each other forever where
    a step synchronizes; videos are repeated only when there are fewer of them than it takes to give every rank the same
    number of non-empty batches.

    Args:
        videos: Where the batches come from.
        rows: The videos wanted.
        batch_size: Videos in a batch, at most.
        rank: Whose batches: numbers r, r + W, r + 2W, ... of all.
    """

    def __init__(self, videos: Videos, rows: Rows, batch_size: int, rank: Rank = ALONE) -> None:
        super().__init__(videos)
        share = -(-len(rows) // rank.count)
        steps = -(-share // batch_size)
        if len(rows) < steps * rank.count:
            rows = np.resize(rows, steps * rank.count)
        self._pieces = np.array_split(rows, steps * rank.count)[rank.number :: rank.count]

    def __len__(self) -> int:
        return len(self._pieces)

    def plan(self, epoch: int) -> Callable[[int], Rows]:  # noqa: ARG002
        """The function batch number -> rows, the same in every epoch.

        Args:
            epoch: Not used.
        """
        return self._pieces.__getitem__
