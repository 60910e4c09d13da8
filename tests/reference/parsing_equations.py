"""Pooling, losses and blocks of video parsing, one number at a time, from the equations."""

import math
from itertools import product

import torch
from torch import Tensor


def softmax(values: list[float]) -> list[float]:
    largest = max(values)
    powers = [math.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def mmil(values: Tensor, normalized: bool) -> tuple[Tensor, Tensor]:
    """P_m (B, 2, C) and P (B, C) from the three values of each class, (B, 2, T, 3, C), with loops."""
    videos, _, steps, _, classes = values.shape
    of_modality = torch.zeros(videos, 2, classes, dtype=torch.float64)
    of_video = torch.zeros(videos, classes, dtype=torch.float64)
    for b, c in product(range(videos), range(classes)):
        p = {(m, t): 1 / (1 + math.exp(-values[b, m, t, 0, c])) for m in (0, 1) for t in range(steps)}
        over_time = [softmax([float(values[b, m, t, 1, c]) for t in range(steps)]) for m in (0, 1)]
        over_both = [softmax([float(values[b, m, t, 2, c]) for m in (0, 1)]) for t in range(steps)]
        weight = {(m, t): over_time[m][t] * over_both[t][m] for m in (0, 1) for t in range(steps)}
        total = sum(weight.values()) if normalized else 1.0
        of_video[b, c] = sum(weight[key] * p[key] for key in p) / total
        for m in (0, 1):
            of_modality[b, m, c] = sum(over_time[m][t] * p[m, t] for t in range(steps))
    return of_modality, of_video


def cross_entropy(p: float, y: float) -> float:
    p = min(max(p, 1e-7), 1 - 1e-7)
    return -(y * math.log(p) + (1 - y) * math.log(1 - p))


def mean_cross_entropy(probabilities: Tensor, labels: Tensor) -> float:
    pairs = zip(probabilities.flatten().tolist(), labels.flatten().tolist(), strict=True)
    each = [cross_entropy(p, float(y)) for p, y in pairs]
    return sum(each) / len(each)


def weight(s: float, mu: float) -> float:
    most = math.exp(abs(1 - mu))
    if s <= -0.2:
        return 1.0
    return most if s < 0 else most + (1 - most) * s


def similarity(features: Tensor, pseudo: Tensor, mu: float, pairs: str) -> float:
    """The weighted squared difference of cosine and intersection over union, by loops and sets."""
    terms = []
    for heard, seen, of_heard, of_seen in zip(*features.unbind(1), *pseudo.unbind(1), strict=True):
        steps = range(len(heard))
        for t, u in [(t, t) for t in steps] if pairs == "segments" else product(steps, steps):
            a, v = heard[t].tolist(), seen[u].tolist()
            lengths = math.hypot(*a) * math.hypot(*v)
            s = sum(x * y for x, y in zip(a, v, strict=True)) / lengths
            one, other = (set(labels.nonzero().flatten().tolist()) for labels in (of_heard[t], of_seen[u]))
            if one | other:
                terms.append(weight(s, mu) * (s - len(one & other) / len(one | other)) ** 2)
    return sum(terms) / len(terms) if terms else 0.0


def gate(x: Tensor, mlp: torch.nn.Module, kernel: Tensor, bias: float, axes: str) -> Tensor:
    """S(W * F) * (W * F) of one video, (T, D); the kernel is (2, 3)."""
    if axes == "swapped":
        x = x.T
    steps, width = x.shape  # pooled over the first axis, then over the second
    first = torch.stack([x[:, d].mean() for d in range(width)]), torch.stack([x[:, d].max() for d in range(width)])
    if axes == "channel_time":
        w = torch.sigmoid(mlp(first[0]) + mlp(first[1]))
    else:
        w = torch.stack([torch.sigmoid(mlp(a[None]) + mlp(b[None]))[0] for a, b in zip(*first, strict=True)])
    gated = x * w
    maps = [gated.mean(dim=1), gated.amax(dim=1)]
    out = torch.zeros_like(gated)
    for t in range(steps):
        taken = [(k, t + k - 1) for k in range(3) if 0 <= t + k - 1 < steps]
        s = torch.sigmoid(bias + sum(kernel[m, k] * maps[m][u] for m in (0, 1) for k, u in taken))
        out[t] = s * gated[t]
    return out.T if axes == "swapped" else out


def exchange(x: Tensor, y: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """F + alpha softmax(F G' / sqrt(D)) (beta G) of one video, row by row."""
    rows = []
    for t in range(len(x)):
        scores = torch.stack([x[t] @ y[u] / math.sqrt(x.shape[1]) for u in range(len(y))])
        taken = torch.softmax(scores, dim=0)
        rows.append(x[t] + alpha * sum(taken[u] * beta * y[u] for u in range(len(y))))
    return torch.stack(rows)
