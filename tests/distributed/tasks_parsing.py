"""Parsing, as one rank of several does it."""

import torch
from torch import Tensor

from avhash_nas.data import Batch, EventLabels
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.metrics import ParsingMetric
from avhash_nas.networks import RoutedNetwork
from avhash_nas.objectives import AVSimilarity
from baselines.parsing import CLASSES, link


def scored(rank: int, predicted: Tensor, true: Tensor, sizes: tuple[int, ...]) -> dict[str, float]:
    """The scores that a rank gets which holds `sizes[rank]` of the videos."""
    rows = torch.arange(len(predicted)).split(list(sizes))[rank]
    metric = ParsingMetric()
    if len(rows):
        metric.update(predicted[rows], true[rows], rows)
    return {name: value.item() for name, value in metric.compute().items()}


def loss_and_gradient(rank: int, sizes: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
    """LINK's loss of six videos of which a rank holds `sizes[rank]`, and the mean gradient over ranks."""
    network = link(dropout=0.0).double().eval()
    generator = torch.Generator().manual_seed(1)
    visual, audio = (torch.randn(6, 5, dim, generator=generator, dtype=torch.float64) for dim in (6, 5))
    labels = torch.rand(6, CLASSES, generator=generator) < 0.5
    pseudo = torch.rand(6, 2, 5, CLASSES, generator=generator) < 0.4
    rows = torch.arange(6).split(list(sizes))[rank]
    events = EventLabels(pseudo[rows], pseudo[rows], pseudo[rows])
    batch = Batch(visual[rows], audio[rows], labels[rows], rows, events)
    loss = AVSimilarity().double().loss(RoutedNetwork(network), batch)
    loss.backward()
    all_reduce_mean(network.parameters())
    return loss.detach(), [each.grad for each in network.parameters() if each.grad is not None]
