"""Measures of queries that have one target each: captions that ask for their video, and videos for a caption of theirs.

The rank of a target is 1 + the number of items that score higher. `hit@K` is the share of queries whose target has rank
K or better; papers on text and video call it R@K, which here means the share of all relevant items
(`avhash_nas.metrics.evaluate`). MdR and MnR are the median and the mean rank.

Items that score the same as the target are ordered at random: in expectation, in closed form, or by a seeded
permutation. The evaluation code that most papers share (CLIP4Clip's) instead looks for the target's score in the sorted
row: a tie then gives a query several ranks, and a row with NaN none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from avhash_nas.errors import AvnasError
from avhash_nas.metrics.ranking import Floats, Integers
from avhash_nas.metrics.scores import Ties
from avhash_nas.metrics.ties import tie_order

Scores = npt.NDArray[np.floating]
Direction = Literal["by_video", "by_caption"]

KS = (1, 5, 10)


@dataclass(frozen=True)
class TargetRanks:
    """Where the targets of n queries stand, each of shape (n,).

    Attributes:
        above: Items that come before the target.
        tied: Items with the target's score whose order relative to it is random.
        own: Targets with that score, the first of which counts; 1, unless a query has several.
    """

    above: Integers
    tied: Integers
    own: Integers

    @property
    def ranks(self) -> Floats:
        """Rank of each query's target, from 1; the mean over the orders of tied items."""
        ranks: Floats = self.above + 1 + self.tied / (self.own + 1)
        return ranks

    def hits(self, k: int) -> Floats:
        """The share of the orders of tied items in which the target's rank is at most K, 0..1."""
        within = np.clip(k - self.above, 0, self.tied + 1)  # ranks that are left for the tied items
        missed = np.ones(len(self.above))
        for number in range(1, int(self.own.max(initial=0)) + 1):  # C(tied, within) / C(tied + own, within)
            factor = (self.tied - within + number) / (self.tied + number)
            missed = np.where(number <= self.own, missed * np.maximum(factor, 0), missed)
        return 1 - np.where(within > self.tied, 0, missed)


@dataclass(frozen=True)
class OneTargetScores:
    """Means over all queries.

    Attributes:
        hits: hit@K by K, 0..1, higher is better.
        median_rank: MdR, at least 1, lower is better; of an even number of queries the mean of the middle two.
        mean_rank: MnR, at least 1, lower is better.
        queries: Number of queries.
        items: Number of items searched.
    """

    hits: dict[int, float]
    median_rank: float
    mean_rank: float
    queries: int
    items: int

    @classmethod
    def of(cls, ranks: TargetRanks, items: int, ks: Sequence[int] = KS) -> "OneTargetScores":
        """The scores of some ranks among a number of items."""
        hits = {k: float(ranks.hits(k).mean()) for k in ks}
        return cls(hits, float(np.median(ranks.ranks)), float(ranks.ranks.mean()), len(ranks.above), items)

    def to_dict(self) -> dict[str, float]:
        """JSON values: "hit@1", "hit@5", "hit@10", "median_rank", "mean_rank", "queries", "items"."""
        named = {f"hit@{k}": value for k, value in self.hits.items()}
        others = {"median_rank": self.median_rank, "mean_rank": self.mean_rank}
        return named | others | {"queries": self.queries, "items": self.items}


def text_to_video(scores: Scores, videos: Integers, *, ties: Ties = "expected", seed: int = 0) -> TargetRanks:
    """Ranks of each caption's video among all videos; every caption is a query.

    Args:
        scores: Similarity of caption and video, (captions, V); higher is more similar.
        videos: The column of each caption's video, (captions,).
        ties: `expected`: the mean over all orders of tied items; `permuted`: the order of a seeded permutation.
        seed: Seed of the permutation.

    Raises:
        AvnasError: A score is NaN, or the shapes do not fit.

    Example:
        >>> ranks = text_to_video(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 1]))
        >>> ranks.ranks, ranks.hits(1)
        (array([1. , 1.5]), array([1. , 0.5]))
    """
    _check(scores, videos)
    place = _places(scores.shape[1], ties, seed)
    own = scores[np.arange(len(scores)), videos]
    above, tied = _compared(scores, own, place, place[videos] if place is not None else None)
    return TargetRanks(above, tied, np.ones_like(above))


def video_to_text(
    scores: Scores, videos: Integers, direction: Direction, *, ties: Ties = "expected", seed: int = 0
) -> TargetRanks:
    """Ranks of the captions of each video that has captions.

    Args:
        scores: Similarity of caption and video, (captions, V); higher is more similar.
        videos: The column of each caption's video, (captions,).
        direction: `by_video` lets each video's best caption stand for it and ranks videos, as CLIP4Clip and its
            successors do; `by_caption` ranks all captions and takes the video's best own one. Without ties the first
            is never worse.
        ties: As for `text_to_video`.
        seed: As for `text_to_video`.

    Raises:
        AvnasError: A score is NaN, or the shapes do not fit.
    """
    _check(scores, videos)
    asking = np.unique(videos)
    if direction == "by_video":
        best = np.full((len(asking), len(asking)), -np.inf)
        np.maximum.at(best, np.searchsorted(asking, videos), scores[:, asking])
        return text_to_video(best.T, np.arange(len(asking)), ties=ties, seed=seed)
    place = _places(len(scores), ties, seed)
    ranks = [_among_captions(scores[:, video], videos == video, place) for video in asking]
    return TargetRanks(*(np.array(column, np.int64) for column in zip(*ranks, strict=True)))


def _among_captions(scores: Scores, own: npt.NDArray[np.bool_], place: Integers | None) -> tuple[int, int, int]:
    """Foreign captions above the best own one, foreign ones tied with it, and own ones tied with it."""
    best = scores[own].max()
    above, equal = int((scores[~own] > best).sum()), scores == best
    if place is None:
        return above, int((equal & ~own).sum()), int((equal & own).sum())
    first = place[equal & own].min()
    return above + int((place[equal & ~own] < first).sum()), 0, 1


def _compared(
    scores: Scores, own: Scores, place: Integers | None, own_place: Integers | None
) -> tuple[Integers, Integers]:
    """Items above each query's target, and items tied with it, row by row to need no second matrix."""
    above, tied = np.zeros(len(scores), np.int64), np.zeros(len(scores), np.int64)
    for row, target in enumerate(own):
        equal = scores[row] == target
        above[row] = (scores[row] > target).sum()
        if place is None or own_place is None:
            tied[row] = equal.sum() - 1
        else:
            above[row] += (place[equal] < own_place[row]).sum()
    return above, tied


def _places(items: int, ties: Ties, seed: int) -> Integers | None:
    """Place of each item in the permutation by which ties are broken; None for the mean over all orders."""
    if ties == "expected":
        return None
    place = np.empty(items, np.int64)
    place[tie_order(np.arange(items), seed)] = np.arange(items)
    return place


def _check(scores: Scores, videos: Integers) -> None:
    if scores.ndim != 2 or videos.shape != scores.shape[:1] or not len(videos):
        raise AvnasError(
            f"scores: expected one row for each of {len(videos)} captions, got shape {tuple(scores.shape)}"
        )
    if videos.min() < 0 or videos.max() >= scores.shape[1]:
        raise AvnasError(f"videos: columns must be from 0 to {scores.shape[1] - 1}, got {videos.min()}..{videos.max()}")
    rows = np.isnan(scores).any(axis=1)
    if rows.any():
        raise AvnasError(f"scores: row {int(rows.argmax())} has nan; a rank needs numbers")
