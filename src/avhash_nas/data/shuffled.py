"""Batches drawn without labels."""

from collections.abc import Callable

import numpy as np

from avhash_nas.data.sampling import BatchSampling, Labels, Positions
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.random_streams import batch_stream


class Shuffled(BatchSampling):
    """Every video once an epoch, in a random order; labels are never read.

    The videos are shared out evenly: as few batches as hold them, whose sizes differ by one video at most. There is no
    small last batch, and none of a single video, which has nothing to be contrasted with. For that, an odd number of
    videos in batches of two gives one batch of three.

    Args:
        batch_size: Videos in a batch, at least 2.
    """

    reads_labels = False

    def __init__(self, batch_size: int = 128) -> None:
        if batch_size < 2:
            raise AvnasError(f"Shuffled: batch_size={batch_size} must be at least 2")
        self._batch_size = batch_size

    @property
    def batch_size(self) -> int:
        """Videos in a full batch."""
        return self._batch_size

    def batches_per_epoch(self, labels: Labels) -> int:
        """Number of batches of every epoch; ranks share each of them.

        Args:
            labels: Multi-hot labels of the split, (V, C); only V counts.

        Raises:
            DataError: There are fewer than two videos.
        """
        if len(labels) < 2:
            raise DataError([f"the training split has {len(labels)} videos; a batch needs two"])
        return min(-(-len(labels) // self._batch_size), len(labels) // 2)

    def epoch(self, labels: Labels, seed: int, epoch: int) -> Callable[[int], Positions]:
        """Does the work that is common to an epoch and returns the pure function batch index -> positions.

        Args:
            labels: Multi-hot labels of the split, (V, C); only V counts.
            seed: Seed of the run.
            epoch: Epoch, counted from 0.
        """
        order = batch_stream(seed, epoch).permutation(len(labels)).astype(np.int64, copy=False)
        return np.array_split(order, self.batches_per_epoch(labels)).__getitem__
