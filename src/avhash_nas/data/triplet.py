"""Batches of the authors' code: anchor, positive and a few negatives."""

from collections.abc import Callable

import numpy as np
from typing_extensions import override

from avhash_nas.data.sampling import BatchSampling, Labels, Positions, ceil_div, class_members
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.random_streams import batch_stream


class Triplets(BatchSampling):
    """Anchor, positive and negatives, as in the authors' ``loader/dataset_per_label.py`` (4 negatives).

    The rows of a batch are ordered anchor, positive, n1, ..., anchor, positive, ..., so
    ``codes.reshape(-1, 2 + negatives, q)`` holds one triplet per row. Every video with at least one positive and one
    negative is an anchor exactly once per epoch, so the last batch may be smaller. The positive is drawn uniformly from
    the other videos that share a label with the anchor. The negatives share no label with the anchor and come from
    distinct classes (classes uniformly, then videos). If there are too few classes, the missing negatives are drawn
    from all videos that share no label with the anchor, distinct ones while they last.

    A class with a single training video provides negatives but no anchor; the authors' code fails on it. Their code
    also uses only the first label of a video: see ``first_label_only`` of the data module.

    Args:
        anchors: Anchors in a batch, at least 1. A batch holds anchors * (2 + negatives) videos.
        negatives: Negatives of each anchor, at least 1.
    """

    def __init__(self, anchors: int = 128, negatives: int = 4) -> None:
        if anchors < 1 or negatives < 1:
            raise AvnasError(f"Triplets: anchors={anchors} and negatives={negatives} must both be at least 1")
        self.anchors = anchors
        self.negatives = negatives

    @property
    @override
    def batch_size(self) -> int:
        return self.anchors * (2 + self.negatives)

    @override
    def batches_per_epoch(self, labels: Labels) -> int:
        return ceil_div(len(_anchors(labels)), self.anchors)

    @override
    def epoch(self, labels: Labels, seed: int, epoch: int) -> Callable[[int], Positions]:
        members = class_members(labels)
        order = batch_stream(seed, epoch).permutation(_anchors(labels))

        def batch(index: int) -> Positions:
            random = batch_stream(seed, epoch, index)
            anchors = order[index * self.anchors : (index + 1) * self.anchors]
            return np.concatenate([self._triplet(int(anchor), labels, members, random) for anchor in anchors])

        return batch

    def _triplet(self, anchor: int, labels: Labels, members: list[Positions], random: np.random.Generator) -> Positions:
        """Positions of the anchor, its positive and its negatives, (2 + negatives,)."""
        own = [members[label] for label in labels[anchor].nonzero()[0]]
        shares = np.zeros(len(labels), np.bool_)
        for class_ in own:
            shares[class_] = True
        taken = shares.copy()
        candidates = own[0] if len(own) == 1 else shares.nonzero()[0]
        draw = int(random.integers(len(candidates) - 1))
        positive = candidates[draw + (draw >= np.searchsorted(candidates, anchor))]
        negatives: list[int] = []
        for label in random.permutation(len(members)):
            free = members[label][~taken[members[label]]]
            if len(free):
                negatives.append(int(free[random.integers(len(free))]))
                taken[negatives[-1]] = True
            if len(negatives) == self.negatives:
                break
        while len(negatives) < self.negatives:
            free = np.flatnonzero(~taken) if not taken.all() else np.flatnonzero(~shares)
            more = random.permutation(free)[: self.negatives - len(negatives)]
            negatives += more.tolist()
            taken[more] = True
        return np.array([anchor, positive, *negatives], np.int64)


def _anchors(labels: Labels) -> Positions:
    """Videos with at least one positive and one negative."""
    sizes = labels.sum(0)
    usable = (labels & (sizes > 1)).any(1)
    crowded = np.flatnonzero(usable & (labels.astype(np.int32) @ sizes.astype(np.int32) >= len(labels)))
    for video in crowded:  # its class sizes sum to V or more: check whether it has a negative
        usable[video] = not labels[:, labels[video]].any(1).all()
    anchors = np.flatnonzero(usable)
    if not len(anchors):
        raise DataError(["no video of the training split has both a positive (a shared label) and a negative"])
    return anchors
