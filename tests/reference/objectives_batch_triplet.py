"""Selected triplets in loops over anchors, positives and negatives, Python floats."""

from collections.abc import Sequence

from reference.objectives_info_nce import cosine

Codes = Sequence[Sequence[float]]


def distance(u: Sequence[float], v: Sequence[float]) -> float:
    return (1 - cosine(u, v)) / 2


def batch_triplet(codes: Codes, labels: Sequence[set[int]], margin: float, selection: str) -> float:
    per_anchor = []
    for a in range(len(codes)):
        far_of = {i: distance(codes[a], codes[i]) for i in range(len(codes)) if i != a}
        near = [d for i, d in far_of.items() if labels[i] & labels[a]]
        far = [d for i, d in far_of.items() if not labels[i] & labels[a]]
        if not near or not far:
            continue
        if selection == "hard":
            triplets = [(max(near), min(far))]
        else:
            triplets = [(d, min((n for n in far if n > d), default=max(far))) for d in near]
        per_anchor.append(sum(max(0.0, p - n + margin) for p, n in triplets) / len(triplets))
    return sum(per_anchor) / len(per_anchor) if per_anchor else 0.0
