"""Batches of videos read from disk, and the share of them that a rank gets."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import torch
from lightning import Trainer
from numpy.typing import NDArray
from torch.utils.data import Dataset
from typing_extensions import override

from avhash_nas.data.batch import Batch, EventLabels
from avhash_nas.data.events import Events
from avhash_nas.data.features import Features
from avhash_nas.data.sampling import BatchSampling, Labels, Positions, ceil_div
from avhash_nas.errors import AvnasError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Rank:
    """This process among the processes of a training run.

    Attributes:
        number: From 0.
        count: W, number of processes.
    """

    number: int = 0
    count: int = 1

    @classmethod
    def of(cls, trainer: Trainer | None) -> Self:
        """The rank of a trainer's process; a single process without a trainer."""
        return cls() if trainer is None else cls(trainer.global_rank, trainer.world_size)

    def share(self, rows: Rows) -> Rows:
        """This rank's contiguous part of a global batch; the sizes of the parts differ by at most one.

        Args:
            rows: The batch, (B,).

        Raises:
            AvnasError: The batch has fewer rows than there are ranks.
        """
        if len(rows) < self.count:
            raise AvnasError(
                f"a batch of {len(rows)} videos cannot be shared by {self.count} processes: "
                "take larger batches or fewer processes"
            )
        part: Rows = np.array_split(rows, self.count)[self.number]
        return part


SINGLE_PROCESS = Rank()


class Videos:
    """All videos of a dataset: features of both modalities, and labels.

    Args:
        visual: Visual features of V videos.
        audio: Audio features of the same videos.
        labels: Multi-hot labels, (V, C).
        events: What batches say of events; None for batches without.
        train: Rows of the training videos, whose filtered pseudo labels may be shown; needed with events only.
    """

    def __init__(
        self,
        visual: Features,
        audio: Features,
        labels: Labels,
        events: Events | None = None,
        train: Rows | None = None,
    ) -> None:
        self.visual = visual
        self.audio = audio
        self.labels = labels
        self._events = events
        self._shown: NDArray[np.bool_] | None = None
        if events is not None and events.pseudo is not None:
            self._shown = np.full(len(labels), not events.filtered)
            self._shown[train] = True

    def batch(self, rows: Rows) -> Batch:
        """Reads some videos.

        Both modalities share one allocation: the C library returns two allocations that are freed together to the
        system, and allocating them again for every batch takes three times as long as filling them.

        Args:
            rows: Rows of the videos, (B,).
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
            self._event_labels(rows),
        )

    def _event_labels(self, rows: Rows) -> EventLabels | None:
        if self._events is None:
            return None
        truth, pseudo = torch.from_numpy(self._events.truth[rows]), self._events.pseudo
        if pseudo is None or self._shown is None:
            return EventLabels(truth, None, None)
        oracle = pseudo[rows]
        shown = oracle & self._shown[rows][:, None, None, None]
        return EventLabels(truth, torch.from_numpy(shown), torch.from_numpy(oracle))


class Batches(Dataset[Batch], ABC):
    """A rank's batches of an epoch, as a dataset whose items are whole batches.

    The key of an item is its rows, as ``EpochSampler`` yields them, or its number in epoch 0, as Lightning's sequential
    sampler for ``overfit_batches`` yields it.

    Args:
        videos: The videos to read.
    """

    def __init__(self, videos: Videos) -> None:
        self.videos = videos

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch, the same number on every rank."""

    @abstractmethod
    def plan(self, epoch: int) -> Callable[[int], Rows]:
        """The function batch number -> rows of an epoch, for numbers from 0 to ``len`` - 1.

        Args:
            epoch: Epoch, from 0.
        """

    @override
    def __getitem__(self, key: int | Rows) -> Batch:
        return self.videos.batch(key if isinstance(key, np.ndarray) else self.plan(0)(key))


class SampledBatches(Batches):
    """A rank's shares of the batches that a sampling draws.

    Concatenated in the order of the ranks, the shares are the batch of a single process: a run has the same batches and
    the same number of steps on any number of ranks.

    Args:
        videos: The videos to read.
        rows: The videos to draw from.
        sampling: How to draw.
        seed: Seed of the run.
        count: Batches per epoch; by default the number that the sampling needs for these videos. Otherwise the
            sampling's epochs are concatenated to one stream, which is cut into epochs of `count` batches.
        rank: The rank that gets the shares.

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
        rank: Rank = SINGLE_PROCESS,
    ) -> None:
        super().__init__(videos)
        self.rows = rows
        self.sampling = sampling
        self.seed = seed
        self._sampled = sampling.batches_per_epoch(videos.labels[rows])
        self._count = self._sampled if count is None else count
        self.rank = rank
        if rank.count > 1:  # fail now rather than at the end of an epoch
            first_epoch = self.plan(0)
            for number in (0, self._sampled - 1):
                first_epoch(number)

    @override
    def __len__(self) -> int:
        return self._count

    @override
    def plan(self, epoch: int) -> Callable[[int], Rows]:
        @lru_cache(maxsize=1)
        def sampled_epoch(number: int) -> Callable[[int], Positions]:
            return self.sampling.epoch(self.videos.labels[self.rows], self.seed, number)

        def rows(number: int) -> Rows:
            sampled, batch = divmod(epoch * self._count + number, self._sampled)
            return self.rank.share(self.rows[sampled_epoch(sampled)(batch)])

        return rows


class OrderedBatches(Batches):
    """A rank's batches of some videos in order, with the same number of batches on every rank.

    All ranks together read each video once. Ranks with different numbers of batches would wait for each other forever
    at synchronized steps. Videos are repeated only if there are too few for every rank to get that number of non-empty
    batches.

    Args:
        videos: The videos to read.
        rows: Which of them, in order.
        batch_size: Videos in a batch, at most.
        rank: The rank, which gets batches r, r + W, r + 2W, ...
    """

    def __init__(self, videos: Videos, rows: Rows, batch_size: int, rank: Rank = SINGLE_PROCESS) -> None:
        super().__init__(videos)
        batches = rank.count * ceil_div(ceil_div(len(rows), rank.count), batch_size)
        if len(rows) < batches:
            rows = np.resize(rows, batches)
        self._batches = np.array_split(rows, batches)[rank.number :: rank.count]

    @override
    def __len__(self) -> int:
        return len(self._batches)

    @override
    def plan(self, epoch: int) -> Callable[[int], Rows]:
        return self._batches.__getitem__
