"""GDAS: two-level search by gradient that samples one candidate a cell (Dong and Yang 2019)."""

from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Mixture, Route
from avhash_nas.random_streams import stream
from avhash_nas.strategies.darts import DARTS
from avhash_nas.strategies.protocols import SearchProgress


class GDAS(DARTS):
    """First-order DARTS on hard Gumbel-softmax samples, so that a step runs only one candidate of each cell.

    In each step and cell, Gumbel noise G selects k = argmax(alpha + G), which has the probability softmax(alpha)_k for
    any tau. The cell outputs h_k o_k, where in a step of alpha

        h_k = 1 + p_k - stop(p_k),   p = softmax((alpha + G) / tau):

    its value is 1, and dL/dalpha_j = <dL/dy, o_k> p_k ([j = k] - p_j) / tau. The alphas of all candidates get a
    gradient through the one that ran. As in the paper (section 3.2) the others are not computed. The authors' code adds
    their weights, of value 0, to the output as plain numbers, and thus sum_{i != k} <dL/dy, 1> dp_i/dalpha to the
    gradient, as if they all output 1. Their code steps alpha after the weights; here it steps first, as in DARTS.

    Their code draws again where noise or probabilities are not finite. Here both always are: numpy's Gumbel numbers
    lie in (-4, 37), and softmax takes differences.

    The score of the `supernet` on val is that of one sampled architecture.

    Args:
        lr: Learning rate of alpha.
        betas: Adam's moment decay rates for alpha.
        weight_decay: Of alpha, added to its gradient; it pulls the probabilities back to uniform.
        init_scale: Standard deviation of alpha's initial values.
        tau: Temperature of the softmax at the start and at the end of the search; linear between them.
        warmup: Fraction of the search, in [0, 1), for which alpha is frozen.
        select: `last` keeps the state at the end; `supernet` or `derived` the one with the best score on val.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(
        self,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
        init_scale: float = 1e-3,
        tau: tuple[float, float] = (10.0, 0.1),
        warmup: float = 0.0,
        select: Literal["last", "supernet", "derived"] = "last",
    ) -> None:
        super().__init__(
            lr=lr, betas=betas, weight_decay=weight_decay, init_scale=init_scale, warmup=warmup, select=select
        )
        if not all(0 < end < float("inf") for end in tau):
            raise AvnasError(f"strategy.tau must be positive at both ends, got {tau}")
        self.tau = tau

    def tau_at(self, progress: SearchProgress) -> float:
        """Temperature of the softmax."""
        start, end = self.tau
        return start + (end - start) * progress.fraction

    @override
    def route(self, progress: SearchProgress) -> Route:
        """One sampled candidate of every cell."""
        return {cell: int(noisy.detach().argmax()) for cell, noisy in self._noisy(progress, "gdas weights").items()}

    @override
    def architecture_route(self, progress: SearchProgress) -> Route:
        """One sampled candidate of every cell, with the weight h."""
        route: dict[str, Mixture] = {}
        for cell, noisy in self._noisy(progress, "gdas alpha").items():
            candidate = int(noisy.detach().argmax())
            probability = torch.softmax(noisy / self.tau_at(progress), dim=0)[candidate : candidate + 1]
            route[cell] = Mixture(1 + (probability - probability.detach()), (candidate,))
        return route

    @override
    def summary(self, progress: SearchProgress) -> dict[str, float]:
        """As for DARTS, with tau as the temperature."""
        return {**super().summary(progress), "temperature": self.tau_at(progress)}

    def _noisy(self, progress: SearchProgress, purpose: str) -> dict[str, Tensor]:
        """Alpha + G by cell name, with a gradient."""
        random = stream(self.seed, purpose, progress.epoch, progress.batch)
        return {
            cell.name: logits + torch.from_numpy(random.gumbel(size=len(logits))).to(logits)
            for cell, logits in zip(self.space.choices, self.architecture.logits, strict=True)
        }
