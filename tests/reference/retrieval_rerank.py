"""Similarities of rerank from their definitions: one number at a time, in double precision."""

from collections.abc import Sequence
from math import exp, sqrt

Vector = Sequence[float]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a: Vector, b: Vector) -> float:
    lengths = sqrt(dot(a, a)) * sqrt(dot(b, b))
    return dot(a, b) / lengths if lengths else 0.0


def unit(a: Vector) -> list[float]:
    length = sqrt(dot(a, a))
    return [x / length for x in a] if length else list(a)


def asymmetric_similarity(values: Vector, signs: Sequence[int]) -> float:
    return dot(values, signs) / len(values)


def attended_similarity(query: Vector, frames: Sequence[Vector], temperature: float) -> float:
    """A softmax over the time steps, their weighted sum, its cosine with the query."""
    weights = [exp(cosine(query, frame) / temperature) for frame in frames]
    total = sum(weights)
    attended = [0.0] * len(query)
    for weight, frame in zip(weights, frames, strict=True):
        for place, value in enumerate(unit(frame)):
            attended[place] += weight / total * value
    return cosine(query, attended)


def order(scores: Sequence[float], depth: int) -> list[int]:
    """The first `depth` by falling score, one after the other; of equal ones the first. The rest as it came."""
    left = list(range(min(depth, len(scores))))
    ordered = []
    while left:
        best = left[0]
        for place in left:
            if scores[place] > scores[best]:
                best = place
        ordered.append(best)
        left.remove(best)
    return ordered + list(range(depth, len(scores)))
