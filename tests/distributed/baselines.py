"""Steps of baselines that several ranks compute together. Called without ranks, the twin of one process."""

import torch
from torch import Tensor, nn

from avhash_nas.baselines import SSTH, AVHash, AVHashLoss, SSTHLoss
from avhash_nas.data import Batch, Triplets
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.networks import HashNetwork, RoutedNetwork
from avhash_nas.objectives import Objective
from distributed.tasks import share


def make(name: str) -> tuple[HashNetwork, Objective]:
    """A small network and its objective, in double precision."""
    torch.manual_seed(0)
    network: HashNetwork
    objective: Objective
    if name == "ssth":
        network, objective = SSTH(3, 2, 3, 4, modality="both"), SSTHLoss()
    else:
        network, objective = AVHash(3, 2, 3, 4, width=8, heads=2, dropout=0.0), AVHashLoss()
        objective.sampling(Triplets(anchors=2, negatives=2))
    objective.setup(None, network, {})  # type: ignore[arg-type] - neither looks at the data
    return network.double(), objective.double()


def step(rank: int, name: str) -> list[Tensor]:
    """Loss, gradients and buffers of a step on eight videos, cut unevenly and through groups."""
    network, objective = make(name)
    generator = torch.Generator().manual_seed(1)
    visual, audio = (torch.randn(8, 3, dim, generator=generator, dtype=torch.float64) for dim in (3, 2))
    whole = (visual, audio, torch.eye(4, dtype=torch.bool).repeat(2, 1), torch.arange(8))
    loss = objective.loss(RoutedNetwork(network), Batch(*(share(rank, rows) for rows in whole[:4])))
    loss.backward()  # type: ignore[no-untyped-call]
    both = nn.ModuleList([network, objective])
    all_reduce_mean(both.parameters())
    gradients = [parameter.grad for parameter in both.parameters() if parameter.grad is not None]
    return [loss.detach(), *gradients, *both.buffers()]
