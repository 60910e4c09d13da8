"""Stratified split of the training videos, for strategies that train weights and architecture on different ones."""

import numpy as np

from avhash_nas.data.sampling import Labels, Positions, class_members
from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import batch_stream


def split_stratified(labels: Labels, train_fraction: float, seed: int) -> tuple[Positions, Positions]:
    """Splits videos into two disjoint parts, with the same proportion in each class.

    A video with several labels counts for its rarest one. Leftover videos of the classes alternate between the parts,
    so the proportion holds over all classes too. (The authors' loader cuts a list that is grouped by class in the
    middle: its halves share no class.)

    Args:
        labels: Multi-hot labels of the split, (V, C).
        train_fraction: Share of the first part, between 0 and 1.
        seed: Seed of the split.

    Returns:
        Positions of both parts, ascending.

    Raises:
        AvnasError: The fraction is out of range.
    """
    if not 0 < train_fraction < 1:
        raise AvnasError(f"train_fraction must lie between 0 and 1, got {train_fraction}")
    random = batch_stream(seed, 0)
    sizes = labels.sum(0)
    rarest = np.where(labels, sizes, len(labels) + 1).argmin(1)
    owner = np.zeros_like(labels)
    owner[np.arange(len(labels)), rarest] = True
    order = np.concatenate([random.permutation(members) for members in class_members(owner)])
    # The videos are ordered by class. A video goes to the first part if the running total of `train_fraction` passes
    # a whole number there, so any stretch of videos is split in proportion, to within one video.
    totals = np.floor(np.arange(len(order) + 1) * train_fraction + 0.5)
    first = np.diff(totals) > 0
    return np.sort(order[first]), np.sort(order[~first])
