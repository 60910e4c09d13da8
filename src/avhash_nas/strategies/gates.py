"""Binary gates of ProxylessNAS: which candidates of a cell run in a step, and how their weights get a gradient."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.networks import Mixture


@dataclass(frozen=True)
class Gate:
    """One cell in one architecture step.

    Attributes:
        candidates: Positions of the candidates that run: all of the cell's, or two.
        active: The one whose output is the cell's; the others are only scored.
    """

    candidates: tuple[int, ...]
    active: int

    def probabilities(self, logits: Tensor) -> Tensor:
        """The softmax of the running candidates' logits alone, with gradient, in their order.

        Args:
            logits: Of all candidates of the cell, (n,).
        """
        return torch.softmax(logits[list(self.candidates)], dim=0)

    def mixture(self, probabilities: Tensor) -> Mixture:
        """The cell's choice whose output is the active candidate's, and whose gradient is that of the gates.

        The weights are g = 1 for the active and 0 for the others, plus p - stop(p), which is 0: for the gradient they
        are p. So dL/dalpha_i = sum_j dL/dg_j p_j ([i = j] - p_i) with dL/dg_j = <dL/dy, o_j>, where j runs over the
        candidates that run: Eq. 4 of the paper, and what the authors' code assigns to `.grad` by hand.

        Args:
            probabilities: What `probabilities` gave.
        """
        one_hot = [float(candidate == self.active) for candidate in self.candidates]
        weights = probabilities.new_tensor(one_hot) + (probabilities - probabilities.detach())
        return Mixture(weights, self.candidates, frozenset(self.candidates) - {self.active})


def draw(logits: NDArray[np.float64], count: int, random: np.random.Generator) -> tuple[int, ...]:
    """Distinct candidates, drawn one after another in proportion to softmax(logits).

    They are the largest of logits + Gumbel noise, in that order, which needs no probabilities and so works however
    decided these are (Kool et al. 2019, "Stochastic Beams and Where to Find Them").

    Args:
        logits: Of all candidates of a cell, (n,), n at least `count`.
        count: How many are wanted.
        random: Drawn from: n numbers.
    """
    noisy = logits + random.gumbel(size=len(logits))
    return tuple(np.argsort(-noisy)[:count].tolist())


def full_gate(logits: NDArray[np.float64], random: np.random.Generator) -> Gate:
    """All candidates run; the active one is drawn in proportion to softmax(logits)."""
    return Gate(tuple(range(len(logits))), *draw(logits, 1, random))


def two_path_gate(logits: NDArray[np.float64], random: np.random.Generator) -> Gate:
    """Two candidates run, drawn without replacement; the active one of them by the probabilities of the two.

    With more than two candidates the active one then does not follow softmax(logits): (.8, .1, .1) becomes
    (.869, .065, .065). So in the authors' code.
    """
    pair = draw(logits, 2, random)
    (place,) = draw(logits[list(pair)], 1, random)
    return Gate(pair, pair[place])


@torch.no_grad()
def rescale(logits: Tensor, before: Tensor, gate: Gate) -> None:
    """Put the joint probability of a gate's candidates back to what it was before a step, in place.

    Of two sampled candidates one gains what the other loses; the probabilities of all others stay (paper, section
    3.2). It takes an optimizer that leaves a logit with gradient 0 alone: Adam without momentum and weight decay.

    Args:
        logits: After the step, (n,).
        before: A copy from before the step, (n,).
        gate: Of the step.
    """
    places = list(gate.candidates)
    logits[places] -= torch.logsumexp(logits[places], dim=0) - torch.logsumexp(before[places], dim=0)
