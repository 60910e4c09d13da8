"""Parsing, as one rank of several does it."""

import torch
from torch import Tensor

from avhash_nas.metrics import ParsingMetric


def scored(rank: int, predicted: Tensor, true: Tensor, sizes: tuple[int, ...]) -> dict[str, float]:
    """The scores that a rank gets which holds `sizes[rank]` of the videos."""
    rows = torch.arange(len(predicted)).split(list(sizes))[rank]
    metric = ParsingMetric()
    if len(rows):
        metric.update(predicted[rows], true[rows], rows)
    return {name: value.item() for name, value in metric.compute().items()}
