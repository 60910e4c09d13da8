"""The parts of the losses of BTH, DKPH and MCMSH in loops over Python floats."""

import math
from collections.abc import Sequence

Vector = Sequence[float]


def squared_distance(x: Vector, y: Vector) -> float:
    return math.fsum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def pair_similarity(first: Sequence[Vector], second: Sequence[Vector], similarity: Vector) -> float:
    terms = []
    for one, other, s in zip(first, second, similarity, strict=True):
        agreement = math.fsum(a * b for a, b in zip(one, other, strict=True)) / len(one)
        terms.append((s - agreement) ** 2)
    return math.fsum(terms) / len(terms)


def anchor_alignment(hidden: Sequence[Vector], anchors: Sequence[Vector]) -> float:
    terms = [squared_distance(h, n) / len(h) for h, n in zip(hidden, anchors, strict=True)]
    return math.fsum(terms) / len(terms)


def anchor_triplets(
    hidden: Sequence[Vector], own: Sequence[Vector], others: Sequence[Vector], similarity: Vector
) -> float:
    """The triplets of DKPH; torch adds 1e-6 to differences before it takes a norm."""
    terms = []
    for h, n1, n2, s in zip(hidden, own, others, similarity, strict=True):
        near, far = (math.sqrt(squared_distance([a + 1e-6 for a in h], n)) for n in (n1, n2))
        terms.append(max(0.0, 0.5 + near - far) if s < 0 else 0.0)
    return math.fsum(terms) / len(terms)


def quadruplet(quadruplets: Sequence[Sequence[Vector]]) -> float:
    terms = []
    for anchor, similar, dissimilar, other in quadruplets:
        bits = len(anchor)
        near = squared_distance(anchor, similar)
        terms.append(max(0.0, bits / 4 + near - squared_distance(anchor, dissimilar)))
        terms.append(max(0.0, bits / 64 + near - squared_distance(dissimilar, other)))
    return math.fsum(terms) / len(quadruplets)


def mask_frames(
    frames: Sequence[Sequence[Vector]], chance: Sequence[Vector], donors: Sequence[Sequence[int]], rate: float
) -> list[list[list[float]]]:
    """Of each frame: a draw below the rate spoils it, and where between 0 and the rate it lies says how."""
    every = [list(frame) for video in frames for frame in video]
    result = []
    for video, draws, places in zip(frames, chance, donors, strict=True):
        spoilt = []
        for frame, draw, place in zip(video, draws, places, strict=True):
            part = draw / rate if rate else 2.0
            if part < 0.8:
                spoilt.append([0.0] * len(frame))
            elif 0.8 <= part < 0.9:
                spoilt.append(every[place])
            else:
                spoilt.append(list(frame))
        result.append(spoilt)
    return result
