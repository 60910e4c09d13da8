"""Cutting the training split in two, for strategies that learn weights and architecture from different videos."""

import numpy as np

from avhash_nas.data.sampling import Labels, Positions, class_members
from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import batch_stream


def split_stratified(labels: Labels, train_fraction: float, seed: int) -> tuple[Positions, Positions]:
    """Two disjoint parts of a split that together hold all of it, each class cut in the same proportion.

    A video of several labels counts for its rarest one. Of a class with an uneven number, the odd videos go in turn to
    the one and the other part, so that the parts' sizes hold over all classes as well. (The authors' loader cuts a list
    that is grouped by class in the middle: its two halves share no class.)

    Args:
        labels: Multi-hot labels of the split, (V, C).
        train_fraction: Share of the first part, between 0 and 1.
        seed: Of the draw.

    Returns:
        Positions of both parts, ascending.

    Raises:
        AvnasError: The portion leaves a part empty.
    """
    if not 0 < train_fraction < 1:
        raise AvnasError(f"portion must lie between 0 and 1, got {train_fraction}")
    random = batch_stream(seed, 0)
    sizes = labels.sum(0)
    rarest = np.where(labels, sizes, len(labels) + 1).argmin(1)
    owner = np.zeros_like(labels)
    owner[np.arange(len(labels)), rarest] = True
    order = np.concatenate([random.permutation(members) for members in class_members(owner)])
    # Going through the classes one after the other, a video goes to the first part where the running total of
    # `train_fraction` passes a whole number: any run of videos is then cut in proportion, to within one video.
    totals = np.floor(np.arange(len(order) + 1) * train_fraction + 0.5)
    first = np.diff(totals) > 0
    return np.sort(order[first]), np.sort(order[~first])
