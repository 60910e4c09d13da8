"""InfoNCE in loops, written from AV-NAS Eq. 36: one exponential per term, Python floats, no tensors."""

import math
from collections.abc import Sequence


def cosine(x: Sequence[float], y: Sequence[float]) -> float:
    dot = math.fsum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(math.fsum(a * a for a in x)) / math.sqrt(math.fsum(b * b for b in y))


def equation_36(
    anchor: Sequence[float], positive: Sequence[float], negatives: Sequence[Sequence[float]], temperature: float
) -> float:
    top = math.exp(cosine(anchor, positive) / temperature)
    rest = math.fsum(math.exp(cosine(anchor, n) / temperature) for n in negatives)
    return -math.log(top / (top + rest))


def in_batch(codes: Sequence[Sequence[float]], labels: Sequence[set[int]], temperature: float) -> float:
    """Mean over the positives of an anchor, then over the anchors that have one; 0 if none has."""
    per_anchor = []
    for a, anchor in enumerate(codes):
        positives = [codes[i] for i in range(len(codes)) if i != a and labels[i] & labels[a]]
        negatives = [codes[i] for i in range(len(codes)) if i != a and not labels[i] & labels[a]]
        if positives:
            pairs = [equation_36(anchor, positive, negatives, temperature) for positive in positives]
            per_anchor.append(sum(pairs) / len(pairs))
    return sum(per_anchor) / len(per_anchor) if per_anchor else 0.0


def triplets(codes: Sequence[Sequence[float]], negatives: int, temperature: float) -> float:
    size = 2 + negatives
    groups = [codes[i : i + size] for i in range(0, len(codes), size)]
    return sum(equation_36(g[0], g[1], g[2:], temperature) for g in groups) / len(groups)
