"""Batches of P classes x K videos."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from avhash_nas.data.sampling import BatchSampling, Labels, Positions, class_members
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.random_streams import batch_stream


class ClassBalanced(BatchSampling):
    """P x K batches: P groups of K videos, the videos of a group sharing one label (Hermans et al., 2017, sec. 2).

    The rows of a batch are ordered by group, so ``codes.reshape(P, K, q)`` holds a group in each row. When the split
    has fewer than P classes, a batch has as many groups as there are classes; a class of fewer than K videos repeats
    some of them within its group.

    A class with a single training video offers no positive. Such videos form one group together, which counts as one
    more class: each is a negative for the others and, never in a batch twice, never an anchor. Where they are fewer
    than K, other videos complete their group.

    Args:
        classes: P, groups in a batch, at least 2.
        videos: K, videos in a group, at least 2.
        by: What an epoch is. ``video``: every video comes once; the videos of each class are shuffled and dealt in
            groups of K, the last one filled up from the same class, and a batch holds groups of distinct classes as
            far as the sizes of the classes allow; a video of several labels is dealt for one of them, drawn anew each
            epoch; groups drawn at random complete the last batch. ``class``: every batch draws P distinct classes,
            then K videos of each, without replacement while they last; as many batches as hold the split once.
        power: With ``class``, a class of n videos is drawn in proportion to n ** power: 0 draws classes uniformly,
            1 as often as their videos come, 0.5 lies between (experiments/stamps says what
            each is worth there).
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
    def batch_size(self) -> int:
        """P * K; less when the split has fewer than P classes."""
        return self.classes * self.videos

    def batches_per_epoch(self, labels: Labels) -> int:
        """Number of batches of every epoch; ranks share each of them.

        Of videos with several labels, the number of groups depends on the labels drawn; the largest possible is taken.

        Args:
            labels: Multi-hot labels of the split, (V, C).

        Raises:
            DataError: No class has two videos, or there is only one class.
        """
        return self._count(_Pools(labels))

    def _count(self, pools: "_Pools") -> int:
        groups = pools.groups_per_batch(self.classes)
        if self.by == "class":
            return _ceil(len(pools.table), groups * self.videos)
        return _ceil(pools.most_groups(self.videos), groups)

    def epoch(self, labels: Labels, seed: int, epoch: int) -> Callable[[int], Positions]:
        """Does the work that is common to an epoch and returns the pure function batch index -> positions.

        Args:
            labels: Multi-hot labels of the split, (V, C).
            seed: Seed of the run.
            epoch: Epoch, counted from 0.
        """
        pools = _Pools(labels)
        if self.by == "class":
            return lambda batch: self._draw(pools, batch_stream(seed, epoch, batch))
        plan = self._deal(pools, self._count(pools), batch_stream(seed, epoch))
        return lambda batch: plan[batch]

    def _draw(self, pools: "_Pools", random: np.random.Generator) -> Positions:
        """One batch of P distinct classes."""
        weights = np.array([len(members) for members in pools.members], dtype=np.float64) ** self.power
        wanted = pools.groups_per_batch(self.classes)
        chosen = random.choice(len(weights), wanted, replace=False, p=weights / weights.sum())
        return np.concatenate([pools.draw_group(int(pool), self.videos, random) for pool in chosen])

    def _deal(self, pools: "_Pools", batches: int, random: np.random.Generator) -> Positions:
        """All batches of an epoch, (batches, groups * K), in which every video occurs."""
        owner = pools.draw_owner(random)
        dealt = [pools.deal_groups(pool, owner, self.videos, random) for pool in range(len(pools.members))]
        owners = np.repeat(np.arange(len(dealt)), [len(groups) for groups in dealt])
        missing = batches * pools.groups_per_batch(self.classes) - len(owners)
        extra = np.resize(random.permutation(pools.classes), missing)  # a single video comes in one group only
        dealt += [pools.draw_group(int(pool), self.videos, random)[None] for pool in extra]
        groups = np.concatenate(dealt)
        # Sorted by class and dealt in turn to the batches, the g groups of a class differ in their batch as long as
        # g <= batches, and no batch gets more than ceil(g / batches) of them.
        rank = random.permutation(len(pools.members))
        order = np.argsort(rank[np.concatenate([owners, extra])], kind="stable")
        plan = groups[order].reshape(-1, batches, self.videos).swapaxes(0, 1).reshape(batches, -1)
        return plan[random.permutation(batches)]


class _Pools:
    """The videos of a split by the class that they are drawn for.

    Pools are the classes with two videos or more and, last, the videos that share no label with any other.

    Args:
        labels: Multi-hot labels of the split, (V, C).
    """

    def __init__(self, labels: Labels) -> None:
        usable: Labels = labels[:, labels.sum(0) > 1]
        if not usable.size:
            raise DataError(["no class of the training split has two videos, so no video has a positive"])
        self.lonely = np.flatnonzero(~usable.any(1))
        self.others = np.flatnonzero(usable.any(1))
        self.table = usable
        self.classes = int(usable.shape[1])
        self.members = class_members(usable)
        if len(self.lonely):
            self.members.append(self.lonely)
        if len(self.members) == 1:
            raise DataError(["the training split has only one class, so no video has a negative"])

    def groups_per_batch(self, wanted: int) -> int:
        """Groups in a batch: as wanted, or one for each pool."""
        return min(wanted, len(self.members))

    def most_groups(self, size: int) -> int:
        """The largest number of groups that dealing every video once can give, whatever the labels drawn."""
        held = sum(_ceil(len(members), size) for members in self.members[: self.classes])
        dealt = (len(self.others) + self.classes * (size - 1)) // size
        return min(held, dealt) + _ceil(len(self.lonely), size)

    def draw_owner(self, random: np.random.Generator) -> Positions:
        """The pool that each video is dealt for, (V,): one of its classes, each equally likely."""
        videos, pools = self.table.nonzero()
        first = np.searchsorted(videos, self.others)
        count = np.diff(first, append=len(videos))
        owner = np.full(len(self.table), len(self.members) - 1)  # right for the lonely ones, which have no label here
        owner[self.others] = pools[first + (random.random(len(count)) * count).astype(np.int64)]
        return owner

    def deal_groups(self, pool: int, owner: Positions, size: int, random: np.random.Generator) -> Positions:
        """Groups that hold each video dealt for a pool, (groups, size); the last one is filled up."""
        own = random.permutation(np.flatnonzero(owner == pool))
        whole = len(own) - len(own) % size
        groups = own[:whole].reshape(-1, size)
        if whole == len(own):
            return groups
        return np.concatenate([groups, self._fill(pool, own[whole:], size, random)[None]])

    def draw_group(self, pool: int, size: int, random: np.random.Generator) -> Positions:
        """A group of videos drawn from a pool without replacement while they last, (size,)."""
        return self._fill(pool, random.permutation(self.members[pool])[:size], size, random)

    def _fill(self, pool: int, group: Positions, size: int, random: np.random.Generator) -> Positions:
        """Completes a group from its class, or from all other videos if it is of single videos."""
        if len(group) == size:
            return group
        if pool == self.classes:
            group = np.concatenate([group, random.permutation(self.others)[: size - len(group)]])
            return np.concatenate([group, random.choice(self.others, size - len(group))])
        rest = random.permutation(np.setdiff1d(self.members[pool], group))
        return np.resize(np.concatenate([group, rest])[:size], size)


def _ceil(count: int, size: int) -> int:
    return -(-count // size)
