"""Steps of alpha that the tests let ranks take together. Called without ranks, the twin of one process."""

import torch
from torch import Tensor

from avhash_nas.data import Batch
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.space import Cell, SearchSpace, load_space
from avhash_nas.strategies import DARTS, GDAS, SearchProgress
from avhash_nas.training import HashingModule, Recipe
from distributed.tasks import share
from strategies.contexts import context_of

KEPT = {"visual.M1": ("skip", "mlp", "conv3"), "audio.D1": ("add", "hadamard"), "F": ("add", "gated_attention")}


def batch(rank: int, seed: int) -> Batch:
    """A rank's share of eight videos, cut unevenly."""
    generator = torch.Generator().manual_seed(seed)
    visual, audio = (torch.randn(8, 4, dim, generator=generator, dtype=torch.float64) for dim in (8, 6))
    whole = (visual, audio, torch.eye(4, dtype=torch.bool).repeat(2, 1), torch.arange(8))
    return Batch(*(share(rank, rows) for rows in whole[:4]))


def searched(rank: int, name: str) -> list[Tensor]:
    """Alpha after two steps, with the gradients of its last one: of DARTS's first or second order, or of GDAS."""
    space = SearchSpace(tuple(Cell(c.name, KEPT.get(c.name, c.candidates[:1])) for c in load_space("full").cells))
    torch.manual_seed(0)
    network = AudioVisualNetwork(8, 6, 8, space, width=8, heads=2, states=2, rank=2, dropout=0.0)
    module = HashingModule(network, recipe=Recipe(lr=0.01, weight_decay=0.1, eps=1e-3)).double()
    strategy = GDAS(lr=0.1, init_scale=1.0) if name == "gdas" else DARTS(int(name), lr=0.1, init_scale=1.0)
    strategy.setup_search(space, 0)
    strategy.architecture.double()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1, eps=1e-3)
    grads: list[Tensor] = []
    step = strategy.optimizer.step

    def noted() -> None:
        grads[:] = [alpha.grad.clone() for alpha in strategy.architecture.logits if alpha.grad is not None]
        step()

    strategy.optimizer.step = noted  # type: ignore[method-assign, assignment]
    for number in range(2):
        context = context_of(module, batch(rank, 5 + number), optimizer, clip=0.5)
        strategy.architecture_step(context, batch(rank, number), SearchProgress(0, number, 1, 2))
    return [*(alpha.detach() for alpha in strategy.architecture.logits), *grads]
