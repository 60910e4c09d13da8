"""The base class of all batch samplings."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.int64]


class BatchSampling(ABC):
    """Settings of a sampling, without state: the batches of an epoch depend on labels, seed and epoch alone.

    A subclass needs ``batch_size``, ``batches_per_epoch`` and ``epoch``. Once imported, it can be named on the command
    line and in YAML. Positions count the videos of the sampled split from 0, in the order of the rows of ``labels``.

    Attributes:
        reads_labels: Whether the draw depends on the labels, and not only on the number of videos.
    """

    reads_labels: ClassVar[bool] = True

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Videos in a full batch."""

    @abstractmethod
    def batches_per_epoch(self, labels: Labels) -> int:
        """Number of batches of every epoch; ranks share each of them.

        Args:
            labels: Multi-hot labels of the split, (V, C).

        Raises:
            DataError: No batch with an anchor and its positive can be formed from these labels.
        """

    @abstractmethod
    def epoch(self, labels: Labels, seed: int, epoch: int) -> Callable[[int], Positions]:
        """Computes what all batches of an epoch share and returns the pure function batch index -> positions.

        Args:
            labels: Multi-hot labels of the split, (V, C).
            seed: Seed of the run.
            epoch: Epoch, from 0.
        """

    def batch(self, labels: Labels, seed: int, epoch: int, index: int) -> Positions:
        """Positions of the videos of one batch: a pure function of its arguments.

        Args:
            labels: Multi-hot labels of the split, (V, C).
            seed: Seed of the run.
            epoch: Epoch, from 0.
            index: Batch of the epoch, from 0 to ``batches_per_epoch(labels)`` - 1.
        """
        return self.epoch(labels, seed, epoch)(index)


def class_members(labels: Labels) -> list[Positions]:
    """Ascending positions of the videos of each class; a video with several labels belongs to several classes."""
    classes, positions = labels.T.nonzero()
    return np.split(positions.astype(np.int64), np.searchsorted(classes, np.arange(1, labels.shape[1])))


def ceil_div(count: int, size: int) -> int:
    """The number of groups of at most ``size`` that hold ``count`` items."""
    return -(-count // size)
