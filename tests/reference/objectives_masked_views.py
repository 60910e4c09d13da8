"""The losses of ConMH and S5VH in loops: one term at a time, Python floats, no tensors."""

import math
from collections.abc import Sequence

from reference.objectives_info_nce import cosine

Vector = Sequence[float]


def debiased_contrastive(first: Sequence[Vector], second: Sequence[Vector], temperature: float, prior: float) -> float:
    videos = len(first)
    terms = []
    for own, other in ((first, second), (second, first)):
        for video in range(videos):
            positive = math.exp(cosine(own[video], other[video]) / temperature)
            negatives = [
                math.exp(cosine(own[video], view[another]) / temperature)
                for another in range(videos)
                if another != video
                for view in (first, second)
            ]
            count = len(negatives)
            unbiased = (math.fsum(negatives) - prior * count * positive) / (1 - prior)
            against = max(unbiased, count * math.exp(-1 / temperature))
            terms.append(-math.log(positive / (positive + against)))
    return math.fsum(terms) / len(terms)


def masked_error(predicted: Sequence[Vector], features: Sequence[Vector], masked: Sequence[int]) -> float:
    """Of one video; row i of what is predicted is time step masked[i] of the features."""
    squares = [
        (guess - value) ** 2
        for row, step in zip(predicted, masked, strict=True)
        for guess, value in zip(row, features[step], strict=True)
    ]
    return math.fsum(squares) / len(squares)


def center_alignment(
    codes: Sequence[Vector], centers: Sequence[Vector], labels: Sequence[Vector], temperature: float
) -> float:
    terms = []
    for code, label in zip(codes, labels, strict=True):
        scores = [
            math.exp(math.fsum(b * c for b, c in zip(code, center, strict=True)) / (len(code) * temperature))
            for center in centers
        ]
        terms.append(-math.fsum(y * math.log(s / math.fsum(scores)) for y, s in zip(label, scores, strict=True)))
    return math.fsum(terms) / len(terms)
