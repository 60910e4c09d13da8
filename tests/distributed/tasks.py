"""What the tests let ranks compute. Called without ranks, each function is its own twin of one process."""

import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from avhash_nas.distributed import all_reduce_mean, gather_rows, highest, of_first_rank, world_size
from avhash_nas.networks import TextViews, VideoViews
from avhash_nas.networks.batch_norm import BatchNorm
from avhash_nas.objectives import EERCFLoss, InfoNCE, TripletInfoNCE

SIZES = (3, 3, 2)
"""Rows of each rank: the second one's cut through triplets and groups."""


def share(rank: int, rows: Tensor, sizes: tuple[int, ...] = SIZES) -> Tensor:
    """A rank's rows of what every rank knows; all rows in a single process."""
    return rows.split(sizes)[rank] if world_size() > 1 else rows


def mean(gradient: Tensor | None) -> Tensor | None:
    parameter = nn.Parameter(torch.zeros(3, 4, dtype=torch.float64))
    parameter.grad = gradient
    all_reduce_mean([parameter])
    return parameter.grad


def batch() -> tuple[Tensor, Tensor, nn.Parameter]:
    """Features and labels of eight videos, and a weight, in double precision."""
    torch.manual_seed(1)
    features = torch.randn(8, 3, dtype=torch.float64)
    labels = torch.eye(3, dtype=torch.bool)[torch.arange(8) % 3]
    return features, labels, nn.Parameter(torch.randn(3, 4, dtype=torch.float64))


def gather(rank: int, rows: Tensor, sizes: tuple[int, ...]) -> Tensor:
    return gather_rows(share(rank, rows, sizes))


def derivatives(rank: int, negatives: int) -> tuple[Tensor, ...]:
    """Loss of a batch, gradient, and a product of the Hessian with a vector; triplets of so many negatives, or none."""
    features, labels, weight = batch()
    objective = TripletInfoNCE(negatives) if negatives else InfoNCE()
    codes = torch.tanh(share(rank, features) @ weight)
    loss = objective(gather_rows(codes), gather_rows(share(rank, labels)))
    (gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
    (product,) = torch.autograd.grad((gradient * torch.linspace(-1, 1, 4)).sum(), weight)
    return loss.detach(), mean(gradient.detach()), mean(product)


def mean_of_some(rank: int, have: tuple[bool, ...]) -> Tensor | None:
    """The mean of gradients rank + 1, where only some ranks have one."""
    return mean(torch.full((3, 4), rank + 1.0, dtype=torch.float64) if have[rank] else None)


def mixed_gradients(rank: int) -> tuple[list[torch.dtype], list[float]]:
    """Types and values of the means of gradients of several types and shapes."""
    parameters = [
        nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape, dtype in (((), torch.float32), (2, torch.float64))
    ]
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, float(rank))
    all_reduce_mean(parameters)
    means = [parameter.grad for parameter in parameters]
    return [value.dtype for value in means], [float(value.sum()) for value in means]


def normalized(rank: int) -> tuple[Tensor, ...]:
    """Outputs of a batch norm in training and evaluation, its running statistics, and the gradient before it."""
    features, labels, weight = batch()
    norm = BatchNorm(4, affine=False).double()
    norm(share(rank, features).flip(1) @ weight.detach())  # two steps, for the running statistics
    outputs = norm(share(rank, features) @ weight)
    InfoNCE()(gather_rows(torch.tanh(outputs)), gather_rows(share(rank, labels))).backward()
    all_reduce_mean([weight])
    whole = gather_rows(outputs.detach())
    after = norm.eval()(features @ weight.detach())
    return whole, after, norm.running_mean, norm.running_var, norm.num_batches_tracked, weight.grad


class Head(nn.Module):
    """A small network with both norms of the hash layer and a part that is not used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first = nn.Linear(3, 5)
        self.unused = nn.Linear(3, 5)
        self.inner = BatchNorm(5)
        self.last = nn.Linear(5, 4)
        self.outer = BatchNorm(4, affine=False)
        self.double()

    def forward(self, features: Tensor) -> Tensor:
        """Relaxed codes."""
        return torch.tanh(self.outer(self.last(torch.relu(self.inner(self.first(features))))))


def trained(rank: int) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and state of a network after five steps, under DDP where there are ranks."""
    features, labels, _ = batch()
    head = Head()
    network = DistributedDataParallel(head, find_unused_parameters=True) if world_size() > 1 else head
    optimizer = torch.optim.SGD(head.parameters(), lr=0.5, momentum=0.9)
    losses = []
    for step in range(5):
        codes = network(share(rank, features.roll(step, 0)))
        loss = InfoNCE()(gather_rows(codes), gather_rows(share(rank, labels.roll(step, 0))))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, head.state_dict()


def told(rank: int) -> tuple[str, int]:
    return of_first_rank(f"rank {rank}"), highest((3, 15, 10)[rank])


def overwritten(rank: int, run: Path) -> tuple[bool, list[str]]:
    """Whether a run that is to be overwritten counts as finished, and what a rank finds once it has begun anew."""
    from avhash_nas.pipeline import RunFolder

    folder = RunFolder(run)
    folder.open({"bits": 8}, overwrite=True)
    finished = folder.finished
    time.sleep(0.2 * (rank == 0))
    folder.start()
    return finished, sorted(path.name for path in run.iterdir())


def text_derivatives(rank: int) -> tuple[Tensor, ...]:
    """EERCF's loss over the captions and videos of all ranks, and its gradient by a weight of each side."""
    torch.manual_seed(1)
    text, visual = torch.randn(8, 5, dtype=torch.float64), torch.randn(8, 3, 5, dtype=torch.float64)
    ours, theirs = (nn.Parameter(torch.randn(5, 4, dtype=torch.float64)) for _ in range(2))
    index = torch.tensor([0, 1, 2, 0, 4, 5, 6, 7])  # a video twice, on two ranks
    vector, frames = share(rank, text) @ ours, share(rank, visual) @ theirs
    texts = TextViews(*(gather_rows(each) for each in (vector, vector, vector)))
    videos = VideoViews(*(gather_rows(each) for each in (frames.mean(dim=1), frames.mean(dim=1), frames, frames)))
    loss = EERCFLoss(correlation=0.1, scale=5).of_views(texts, videos, gather_rows(share(rank, index)))
    gradients = torch.autograd.grad(loss, (ours, theirs))
    means = [nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(means, gradients, strict=True):
        parameter.grad = gradient
    all_reduce_mean(means)
    return loss.detach(), *(parameter.grad for parameter in means if parameter.grad is not None)
