"""Batches drawn without labels."""

from collections.abc import Callable

import numpy as np
from typing_extensions import override

from avhash_nas.data.sampling import BatchSampling, Labels, Positions, ceil_div
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.random_streams import batch_stream


class Shuffled(BatchSampling):
    """Every video once per epoch, in random order; labels are never read.

    The videos are split into as few batches as possible, whose sizes differ by at most one. There is no small last
    batch and none of a single video, which would have nothing to be contrasted with; so an odd number of videos in
    batches of two gives one batch of three.

    Args:
        batch_size: Videos in a batch, at least 2.
    """

    reads_labels = False

    def __init__(self, batch_size: int = 128) -> None:
        if batch_size < 2:
            raise AvnasError(f"Shuffled: batch_size={batch_size} must be at least 2")
        self._batch_size = batch_size

    @property
    @override
    def batch_size(self) -> int:
        return self._batch_size

    @override
    def batches_per_epoch(self, labels: Labels) -> int:
        if len(labels) < 2:
            raise DataError([f"the training split has {len(labels)} videos; a batch needs two"])
        return min(ceil_div(len(labels), self._batch_size), len(labels) // 2)

    @override
    def epoch(self, labels: Labels, seed: int, epoch: int) -> Callable[[int], Positions]:
        order = batch_stream(seed, epoch).permutation(len(labels)).astype(np.int64, copy=False)
        return np.array_split(order, self.batches_per_epoch(labels)).__getitem__
