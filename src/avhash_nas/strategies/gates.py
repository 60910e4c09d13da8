"""Binary gates of ProxylessNAS: the candidates of a cell that run in a step, and the gradient of their weights."""

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
        candidates: Indices of the candidates that run: all, or two.
        active: The candidate whose output is the cell's; the others run only for the gradient.
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
        """The cell's choice with the output of the active candidate and the gradient of the gates.

        The weights are g = 1 for the active candidate and 0 for the others, plus p - stop(p), which is 0: their
        gradient is that of p. So dL/dalpha_i = sum_j dL/dg_j p_j ([i = j] - p_i) with dL/dg_j = <dL/dy, o_j>, summed
        over the candidates that run: Eq. 4 of the paper, which the authors' code assigns to `.grad` by hand.

        Args:
            probabilities: From the method `probabilities`.
        """
        one_hot = [float(candidate == self.active) for candidate in self.candidates]
        weights = probabilities.new_tensor(one_hot) + (probabilities - probabilities.detach())
        return Mixture(weights, self.candidates, frozenset(self.candidates) - {self.active})


def draw(logits: NDArray[np.float64], count: int, random: np.random.Generator) -> tuple[int, ...]:
    """Distinct candidates, drawn one after another in proportion to softmax(logits).

    They are the largest of logits + Gumbel noise, in that order, which also works for extreme logits as it needs no
    probabilities (Kool et al. 2019, "Stochastic Beams and Where to Find Them").

    Args:
        logits: Of all candidates of a cell, (n,).
        count: Number of candidates, at most n.
        random: Generator, from which n numbers are drawn.
    """
    noisy = logits + random.gumbel(size=len(logits))
    return tuple(np.argsort(-noisy)[:count].tolist())


def full_gate(logits: NDArray[np.float64], random: np.random.Generator) -> Gate:
    """All candidates run; the active one is drawn in proportion to softmax(logits)."""
    return Gate(tuple(range(len(logits))), *draw(logits, 1, random))


def two_path_gate(logits: NDArray[np.float64], random: np.random.Generator) -> Gate:
    """Two candidates run, drawn without replacement; the active one of them by the probabilities of the two.

    With more than two candidates the active one then does not follow softmax(logits): (.8, .1, .1) becomes
    (.869, .065, .065), as in the authors' code.
    """
    pair = draw(logits, 2, random)
    (index,) = draw(logits[list(pair)], 1, random)
    return Gate(pair, pair[index])


@torch.no_grad()
def rescale(logits: Tensor, before: Tensor, gate: Gate) -> None:
    """Restore the joint probability of a gate's candidates to its value before a step, in place.

    Of two sampled candidates one gains what the other loses; all other probabilities stay (paper, section 3.2). It
    needs an optimizer that does not move a logit with gradient 0: Adam without momentum and weight decay.

    Args:
        logits: After the step, (n,).
        before: A copy from before the step, (n,).
        gate: Of the step.
    """
    rows = list(gate.candidates)
    logits[rows] -= torch.logsumexp(logits[rows], dim=0) - torch.logsumexp(before[rows], dim=0)
