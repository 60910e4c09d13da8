"""Searches with a known optimum: a module of one cell and a few weights, and the loop of a Trainer."""

import torch
from torch import nn

from avhash_nas.data import Batch
from avhash_nas.networks import Mixture
from avhash_nas.space import Cell, SearchSpace
from avhash_nas.strategies import SearchProgress
from strategies.contexts import context_of

SPACE = SearchSpace((Cell("T", ("self_attention", "self_ssm")),))
"""The names do not matter: there are a first and a second candidate."""


class OneCell:
    """A module whose loss is that of the candidates, weighted by the route."""

    def __init__(self, weights):
        self.network = nn.ParameterDict(weights)

    def candidate_losses(self, batch, weights):
        """Two scalars."""
        raise NotImplementedError

    def loss(self, batch, route, parameters=None):
        weights = dict(self.network.named_parameters()) if parameters is None else parameters
        losses = torch.stack(self.candidate_losses(batch, weights))
        choice = route["T"]
        if not isinstance(choice, Mixture):
            return losses[choice]
        return choice.weights @ (losses if choice.candidates is None else losses[list(choice.candidates)])

    def augment(self, batch):
        return batch

    def receive(self, batch):
        return batch


class RoteOrRule(OneCell):
    """The first candidate learns each training video's value by heart, the second a rule that all follow but for noise.

    On training videos learning by heart ends at a loss of 0; on others it knows nothing, and the rule is better.
    """

    def __init__(self, videos=16):
        super().__init__({"learnt": nn.Parameter(torch.zeros(videos)), "slope": nn.Parameter(torch.zeros(()))})
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(videos, generator=generator)
        self.y = 2 * self.x + 0.5 * torch.randn(videos, generator=generator)

    def rows(self, first, last):
        index = torch.arange(first, last)
        return Batch(self.x[index], self.y[index], torch.ones(len(index), 1, dtype=torch.bool), index)

    def candidate_losses(self, batch, weights):
        by_heart, by_rule = weights["learnt"][batch.index], weights["slope"] * batch.visual
        return [((guess - batch.audio) ** 2).mean() for guess in (by_heart, by_rule)]


class Tug(OneCell):
    """Each candidate pulls the one weight to its own target; val wants it at the second one's.

    Val charges the second candidate a little for being there, which is all that the first order sees of alpha.
    """

    def __init__(self):
        super().__init__({"w": nn.Parameter(torch.tensor(0.2))})

    def batch_of(self, part):
        return Batch(torch.zeros(1), torch.zeros(1), torch.tensor([[part == "val"]]), torch.zeros(1, dtype=torch.int64))

    def candidate_losses(self, batch, weights):
        w = weights["w"]
        if batch.labels.any():
            return [(w - 1) ** 2, (w - 1) ** 2 + 0.002]
        return [w**2, (w - 1) ** 2]


def search(strategy, module, train, held_out, steps=200, lr=0.2):
    """The loop of a Trainer: the strategy's step, its route, a step of the weights."""
    strategy.setup_search(SPACE, 0)
    groups = strategy.parameter_groups()
    optimizer = torch.optim.AdamW(
        [
            {"params": list(module.network.parameters())},
            *({k: v for k, v in g.items() if k != "lr_multiplier"} for g in groups),
        ],
        lr=lr,
        weight_decay=0.0,
    )
    context = context_of(module, held_out, optimizer)
    for step in range(steps):
        progress = SearchProgress(0, step, 1, steps)
        strategy.architecture_step(context, train, progress)
        optimizer.zero_grad()
        module.loss(train, strategy.route(progress)).backward()
        optimizer.step()
    return strategy.architecture.probabilities()["T"].detach()
