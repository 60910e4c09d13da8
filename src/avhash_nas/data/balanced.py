"""Batches of P classes x K videos."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from typing_extensions import override

from avhash_nas.data.sampling import BatchSampling, Labels, Positions, ceil_div, class_members
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.random_streams import batch_stream


class ClassBalanced(BatchSampling):
    """P x K batches: P groups of K videos that share one label (Hermans et al., 2017, sec. 2).

    The rows of a batch are ordered by group, so ``codes.reshape(P, K, q)`` holds one group per row. If the split has
    fewer than P classes, a batch has one group per class; a class of fewer than K videos repeats some of them.

    A class with a single training video has no positive pair. All such videos together count as one more class: each
    is a negative for the others and occurs at most once in a batch, so it is never an anchor. If there are fewer than
    K of them, other videos complete their group.

    Args:
        classes: P, groups in a batch, at least 2.
        videos: K, videos in a group, at least 2.
        by: Definition of an epoch. ``video``: every video occurs once. The videos of each class are shuffled and split
            into groups of K, the last one filled up from the same class. A batch holds groups of distinct classes as
            far as the class sizes allow. A video with several labels is assigned to one of them, drawn again each
            epoch; random groups complete the last batch. ``class``: every batch draws P distinct classes, then K
            videos of each, without replacement while they last; an epoch has ceil(V / (P * K)) batches.
        power: With ``class``, a class of n videos is drawn with probability proportional to n ** power: 0 is uniform
            over classes, 1 proportional to their sizes (experiments/stamps compares the values).
    """

    def __init__(
        self, classes: int = 16, videos: int = 8, by: Literal["video", "class"] = "video", power: float = 0.0
    ) -> None:
        if classes < 2 or videos < 2:
            raise AvnasError(f"ClassBalanced: classes={classes} and videos={videos} must both be at least 2")
        if by not in ("video", "class"):
            raise AvnasError(f"ClassBalanced: by={by!r} must be 'video' or 'class'")
        if not 0 <= power <= 1:
            raise AvnasError(f"ClassBalanced: power={power} must be between 0 and 1")
        if power and by != "class":
            raise AvnasError(f"ClassBalanced: power={power} needs by='class'; by='video' takes every video once")
        self.classes = classes
        self.videos = videos
        self.by = by
        self.power = power

    @property
    @override
    def batch_size(self) -> int:
        return self.classes * self.videos

    @override
    def batches_per_epoch(self, labels: Labels) -> int:
        return self._count(_Pools(labels))

    def _count(self, pools: "_Pools") -> int:
        """Batches of an epoch. With several labels per video, the largest number that the drawn labels can require."""
        groups = pools.groups_per_batch(self.classes)
        if self.by == "class":
            return ceil_div(len(pools.table), groups * self.videos)
        return ceil_div(pools.most_groups(self.videos), groups)

    @override
    def epoch(self, labels: Labels, seed: int, epoch: int) -> Callable[[int], Positions]:
        pools = _Pools(labels)
        if self.by == "class":
            return lambda batch: self._draw(pools, batch_stream(seed, epoch, batch))
        plan = self._deal(pools, self._count(pools), batch_stream(seed, epoch))
        return lambda batch: plan[batch]

    def _draw(self, pools: "_Pools", random: np.random.Generator) -> Positions:
        """One batch of P distinct classes."""
        weights = np.array([len(members) for members in pools.members], dtype=np.float64) ** self.power
        groups = pools.groups_per_batch(self.classes)
        drawn = random.choice(len(weights), groups, replace=False, p=weights / weights.sum())
        return np.concatenate([pools.draw_group(int(pool), self.videos, random) for pool in drawn])

    def _deal(self, pools: "_Pools", batches: int, random: np.random.Generator) -> Positions:
        """All batches of an epoch, (batches, groups * K), in which every video occurs."""
        owner = pools.draw_owner(random)
        dealt = [pools.deal_groups(pool, owner, self.videos, random) for pool in range(len(pools.members))]
        owners = np.repeat(np.arange(len(dealt)), [len(groups) for groups in dealt])
        missing = batches * pools.groups_per_batch(self.classes) - len(owners)
        extra = np.resize(random.permutation(pools.classes), missing)  # never the pool of single videos
        dealt += [pools.draw_group(int(pool), self.videos, random)[None] for pool in extra]
        groups = np.concatenate(dealt)
        # Sorted by class and assigned to the batches in turn, the g groups of a class land in different batches if
        # g <= batches, and no batch gets more than ceil(g / batches) of them.
        rank = random.permutation(len(pools.members))
        order = np.argsort(rank[np.concatenate([owners, extra])], kind="stable")
        plan = groups[order].reshape(-1, batches, self.videos).swapaxes(0, 1).reshape(batches, -1)
        return plan[random.permutation(batches)]


class _Pools:
    """The videos of a split by class: one pool for each class of two or more videos.

    The last pool, if not empty, holds the videos that share no label with any other.
    """

    def __init__(self, labels: Labels) -> None:
        usable: Labels = labels[:, labels.sum(0) > 1]
        if not usable.size:
            raise DataError(["no class of the training split has two videos, so no video has a positive"])
        self.single = np.flatnonzero(~usable.any(1))
        self.others = np.flatnonzero(usable.any(1))
        self.table = usable
        self.classes = int(usable.shape[1])
        self.members = class_members(usable)
        if len(self.single):
            self.members.append(self.single)
        if len(self.members) == 1:
            raise DataError(["the training split has only one class, so no video has a negative"])

    def groups_per_batch(self, groups: int) -> int:
        return min(groups, len(self.members))

    def most_groups(self, size: int) -> int:
        """The largest number of groups of an epoch ``by="video"``, whichever labels are drawn."""
        by_class = sum(ceil_div(len(members), size) for members in self.members[: self.classes])
        in_total = (len(self.others) + self.classes * (size - 1)) // size
        return min(by_class, in_total) + ceil_div(len(self.single), size)

    def draw_owner(self, random: np.random.Generator) -> Positions:
        """The pool of each video, (V,): one of its classes, each equally likely."""
        videos, pools = self.table.nonzero()
        first = np.searchsorted(videos, self.others)
        count = np.diff(first, append=len(videos))
        owner = np.full(len(self.table), len(self.members) - 1)  # correct for the videos without a shared label
        owner[self.others] = pools[first + (random.random(len(count)) * count).astype(np.int64)]
        return owner

    def deal_groups(self, pool: int, owner: Positions, size: int, random: np.random.Generator) -> Positions:
        """Groups of all videos of a pool, (groups, size); the last one is filled up."""
        own = random.permutation(np.flatnonzero(owner == pool))
        whole = len(own) - len(own) % size
        groups = own[:whole].reshape(-1, size)
        if whole == len(own):
            return groups
        return np.concatenate([groups, self._fill(pool, own[whole:], size, random)[None]])

    def draw_group(self, pool: int, size: int, random: np.random.Generator) -> Positions:
        """Videos drawn from a pool, without replacement while they last, (size,)."""
        return self._fill(pool, random.permutation(self.members[pool])[:size], size, random)

    def _fill(self, pool: int, group: Positions, size: int, random: np.random.Generator) -> Positions:
        """Completes a group from its class; a group of single videos from all other videos."""
        if len(group) == size:
            return group
        if pool == self.classes:
            group = np.concatenate([group, random.permutation(self.others)[: size - len(group)]])
            return np.concatenate([group, random.choice(self.others, size - len(group))])
        rest = random.permutation(np.setdiff1d(self.members[pool], group))
        return np.resize(np.concatenate([group, rest])[:size], size)
