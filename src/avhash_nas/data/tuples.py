"""Batches in which each video is followed by partners."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from typing_extensions import override

from avhash_nas.data.sampling import BatchSampling, Labels, Positions
from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import batch_stream

Partners: TypeAlias = Callable[[Positions, np.random.Generator], Positions]
"""Positions of n videos and a random generator -> positions of their partners, (n, k)."""


class Tuples(BatchSampling):
    """Anchors drawn by another sampling, each followed by its partners, such as precomputed neighbors.

    The rows of a batch are ordered anchor, partner 1, ..., partner k, anchor, ..., so ``codes.reshape(-1, 1 + k, q)``
    holds one tuple per row. Partners have their own random stream, so the anchors are the same as without partners.

    Args:
        base: Sampling of the anchors.
        partners: Pure function that draws the partners of given videos. Positions count the videos of the sampled
            split.
        size: k, partners of each anchor, at least 1.
    """

    def __init__(self, base: BatchSampling, partners: Partners, size: int) -> None:
        if size < 1:
            raise AvnasError(f"Tuples: size={size} must be at least 1")
        self.base = base
        self.partners = partners
        self.size = size

    @property
    @override
    def batch_size(self) -> int:
        return self.base.batch_size * (1 + self.size)

    @override
    def batches_per_epoch(self, labels: Labels) -> int:
        return self.base.batches_per_epoch(labels)

    @override
    def epoch(self, labels: Labels, seed: int, epoch: int) -> Callable[[int], Positions]:
        anchors_of = self.base.epoch(labels, seed, epoch)

        def batch(index: int) -> Positions:
            anchors = anchors_of(index)
            own_stream = batch_stream(seed, epoch, index).spawn(1)[0]
            partners = np.asarray(self.partners(anchors, own_stream), np.int64)
            expected = (len(anchors), self.size)
            if partners.shape != expected:
                raise AvnasError(f"Tuples: the partners have the shape {partners.shape} instead of {expected}")
            if partners.min() < 0 or partners.max() >= len(labels):
                raise AvnasError(f"Tuples: the partners were prepared for other videos than these {len(labels)}")
            return np.concatenate([anchors[:, None], partners], 1).ravel()

        return batch
