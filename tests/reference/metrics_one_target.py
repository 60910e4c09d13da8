"""Ranks of one target in loops: every order of tied items is written out, and the shares are counted."""

import itertools
from collections.abc import Sequence
from fractions import Fraction


def orders(scores: Sequence[float], targets: set[int]) -> list[int]:
    """Rank of the first target in every order of the items that agrees with the scores."""
    ranks = []
    for order in itertools.permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            ranks.append(1 + min(place for place, item in enumerate(order) if item in targets))
    return ranks


def mean_rank(ranks: Sequence[int]) -> Fraction:
    return Fraction(sum(ranks), len(ranks))


def share_within(ranks: Sequence[int], k: int) -> Fraction:
    return Fraction(sum(rank <= k for rank in ranks), len(ranks))


def caption_rows(scores: Sequence[Sequence[float]], videos: Sequence[int]) -> list[list[int]]:
    """Text to video: the ranks of each caption's video in all orders."""
    return [orders(row, {video}) for row, video in zip(scores, videos, strict=True)]


def by_video(scores: Sequence[Sequence[float]], videos: Sequence[int]) -> list[list[int]]:
    """Video to text, each video with captions standing for its best caption."""
    asking = sorted(set(videos))
    ranks = []
    for video in asking:
        best = [max(row[video] for row, own in zip(scores, videos, strict=True) if own == other) for other in asking]
        ranks.append(orders(best, {asking.index(video)}))
    return ranks


def by_caption(scores: Sequence[Sequence[float]], videos: Sequence[int]) -> list[list[int]]:
    """Video to text among all captions, the best own one counting."""
    return [
        orders([row[video] for row in scores], {row for row, own in enumerate(videos) if own == video})
        for video in sorted(set(videos))
    ]
