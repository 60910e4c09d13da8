"""Steps of BTH, DKPH and MCMSH that ranks take together. Called without ranks, the twin of one process."""

from torch import Tensor, nn

from avhash_nas.data import Batch
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.networks import RoutedNetwork
from baselines.anchored import batch_of, prepared_pair
from distributed.tasks import share


def step(rank: int, method: str) -> list[Tensor]:
    """Loss, gradients and buffers of a step, the tuples being cut through."""
    network, objective = prepared_pair(method)
    batch = batch_of(objective, 4)
    sizes = (7, 7, 6) if method == "mcmsh" else (3, 3, 2)
    loss = objective.loss(RoutedNetwork(network), Batch(*(share(rank, rows, sizes) for rows in batch[:4])))
    loss.backward()  # type: ignore[no-untyped-call]
    both = nn.ModuleList([network, objective])
    all_reduce_mean(both.parameters())
    gradients = [parameter.grad for parameter in both.parameters() if parameter.grad is not None]
    return [loss.detach(), *gradients, *both.buffers()]
