"""The text gate, the cross entropy and the correlation of channels in loops over single numbers."""

import torch
from torch import Tensor


def dot(x: Tensor, y: Tensor) -> Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for a, b in zip(x, y, strict=True):
        total = total + a * b
    return total


def hat(x: Tensor) -> Tensor:
    return x / dot(x, x).sqrt()


def gate(text: Tensor, parts: Tensor, temperature: float, present: list[bool]) -> list[Tensor]:
    """Softmax over the parts that are there; 0 for the others."""
    powers = [
        torch.exp(dot(hat(text), hat(part)) / temperature) if there else torch.zeros((), dtype=text.dtype)
        for part, there in zip(parts, present, strict=True)
    ]
    return [power / sum(powers) for power in powers]


def scored(text: Tensor, video: Tensor, temperature: float, present: list[bool], gating: Tensor) -> Tensor:
    weights = gate(gating, video, temperature, present)
    return sum(weight * dot(hat(text), hat(part)) for weight, part in zip(weights, video, strict=True))


def vector(
    text: Tensor, video: Tensor, values: Tensor, temperature: float, present: list[bool], gating: Tensor, detach: bool
) -> Tensor:
    weights = gate(gating, video, temperature, present)
    if detach:
        weights = [weight.detach() for weight in weights]
    attended = sum(weight * hat(value) for weight, value in zip(weights, values, strict=True))
    return dot(hat(text), hat(attended))


def matrix(function, texts: Tensor, videos: int, own: bool) -> Tensor:
    """function(text, video, gating text) for all pairs."""
    rows = [[function(text, j, texts[j] if own else text) for j in range(videos)] for text in texts]
    return torch.stack([torch.stack(row) for row in rows])


def cross_entropy(scores: Tensor, index: list[int]) -> Tensor:
    """Mean of both directions; other captions of the same video, and other copies of it, are left out of the sums."""
    total = torch.zeros((), dtype=scores.dtype)
    size = len(scores)
    for i in range(size):
        row = sum(torch.exp(scores[i, j]) for j in range(size) if j == i or index[j] != index[i])
        column = sum(torch.exp(scores[j, i]) for j in range(size) if j == i or index[j] != index[i])
        total = total - (scores[i, i] - torch.log(row)) / 2 - (scores[i, i] - torch.log(column)) / 2
    return total / size


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """(1 - Pearson's correlation)^2, summed over the channels."""
    total = torch.zeros((), dtype=first.dtype)
    for x, y in zip(first.T, second.T, strict=True):
        size = len(x)
        mean_x, mean_y = sum(x) / size, sum(y) / size
        covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
        square_x, square_y = sum((a - mean_x) ** 2 for a in x), sum((b - mean_y) ** 2 for b in y)
        total = total + (1 - covariance / (square_x * square_y).sqrt()) ** 2
    return total
