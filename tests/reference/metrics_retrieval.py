"""Retrieval measures from their definitions: one query at a time, exact fractions, every order of tied items listed."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby, permutations, product
from math import ceil

ZERO = Fraction(0)


def hamming(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def all_rankings(distances: Sequence[int], relevance: Sequence[bool]) -> Iterator[list[bool]]:
    """Relevance from rank 1 on, once for every order of the items within each distance."""
    items = sorted(zip(distances, relevance, strict=True), key=lambda item: item[0])
    groups = [[relevant for _, relevant in group] for _, group in groupby(items, key=lambda item: item[0])]
    for orders in product(*(list(permutations(group)) for group in groups)):
        yield [relevant for order in orders for relevant in order]


def average_precision(ranking: Sequence[bool], k: int | None, normalization: str) -> Fraction:
    cutoff = len(ranking) if k is None else k
    precisions = [Fraction(sum(ranking[:r]), r) for r in range(1, min(cutoff, len(ranking)) + 1) if ranking[r - 1]]
    denominator = {"retrieved": len(precisions), "standard": min(cutoff, sum(ranking)), "k": cutoff}[normalization]
    return sum(precisions, ZERO) / denominator if denominator else ZERO


def precision(ranking: Sequence[bool], k: int | None) -> Fraction:
    cutoff = len(ranking) if k is None else k
    return Fraction(sum(ranking[:cutoff]), cutoff) if cutoff else ZERO


def recall(ranking: Sequence[bool], k: int | None) -> Fraction:
    return Fraction(sum(ranking[:k]), sum(ranking)) if any(ranking) else ZERO


def rank_of_hit(ranking: Sequence[bool], ordinal: int) -> int:
    return [rank for rank, relevant in enumerate(ranking, start=1) if relevant][ordinal - 1]


def hits_for_level(ranking: Sequence[bool], level: Fraction) -> int:
    return max(1, ceil(level * sum(ranking)))


def lookup(distances: Sequence[int], relevance: Sequence[bool], radius: int) -> tuple[Fraction, Fraction]:
    """Precision and recall of the items within a Hamming radius."""
    found = [relevant for distance, relevant in zip(distances, relevance, strict=True) if distance <= radius]
    return (
        Fraction(sum(found), len(found)) if found else ZERO,
        Fraction(sum(found), sum(relevance)) if any(relevance) else ZERO,
    )


def mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, ZERO) / len(values)
