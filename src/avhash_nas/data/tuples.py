"""Batches in which each video brings partners along."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from avhash_nas.data.sampling import BatchSampling, Labels, Positions
from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import batch_stream

Partners: TypeAlias = Callable[[Positions, np.random.Generator], Positions]
"""Positions of n videos and a random generator -> positions of their partners, (n, k)."""


class Tuples(BatchSampling):
    """The batches of another sampling, each video followed by its partners, as neighbors found beforehand.

    The rows of a batch are ordered anchor, partner 1, ..., partner k, anchor, ..., so ``codes.reshape(-1, 1 + k, q)``
    holds a tuple in each row. The partners are drawn from a stream of their own: the anchors are those of the other
    sampling alone.

    Args:
        base: Which videos are the anchors of a batch.
        partners: Pure function that draws the partners of some videos. Its positions count the videos of the split
            that is sampled.
        size: k, partners of each anchor, at least 1.
    """

    def __init__(self, base: BatchSampling, partners: Partners, size: int) -> None:
        if size < 1:
            raise AvnasError(f"Tuples: size={size} must be at least 1")
        self.base = base
        self.partners = partners
        self.size = size

    @property
    def batch_size(self) -> int:
        """Videos in a full batch: those of the other sampling * (1 + k)."""
        return self.base.batch_size * (1 + self.size)

    def batches_per_epoch(self, labels: Labels) -> int:
        """Number of batches of every epoch; ranks share each of them.

        Args:
            labels: Multi-hot labels of the split, (V, C).

        Raises:
            DataError: The other sampling cannot use these labels.
        """
        return self.base.batches_per_epoch(labels)

    def epoch(self, labels: Labels, seed: int, epoch: int) -> Callable[[int], Positions]:
        """Does the work that is common to an epoch and returns the pure function batch index -> positions.

        Args:
            labels: Multi-hot labels of the split, (V, C).
            seed: Seed of the run.
            epoch: Epoch, counted from 0.
        """
        anchors_of = self.base.epoch(labels, seed, epoch)

        def batch(index: int) -> Positions:
            anchors = anchors_of(index)
            own_stream = batch_stream(seed, epoch, index).spawn(1)[0]
            partners = np.asarray(self.partners(anchors, own_stream), np.int64)
            if partners.shape != (len(anchors), self.size):
                wanted = (len(anchors), self.size)
                raise AvnasError(f"Tuples: the partners have the shape {partners.shape} instead of {wanted}")
            if partners.min() < 0 or partners.max() >= len(labels):
                raise AvnasError(f"Tuples: the partners were prepared for other videos than these {len(labels)}")
            return np.concatenate([anchors[:, None], partners], 1).ravel()

        return batch
