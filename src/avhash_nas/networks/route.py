"""Routes: which candidates one forward pass of a supernet runs, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Mixture:
    """A weighted sum of candidates of one cell, Eq. 39 of the paper.

    Args:
        weights: One weight for each candidate that runs, shape (n,); gradients reach it.
        candidates: Positions of the candidates that run, n of them; all of the cell's when None.
        detached: Positions of the candidates of which only the weight gets a gradient, not the parameters.
    """

    weights: Tensor
    candidates: tuple[int, ...] | None = None
    detached: frozenset[int] = frozenset()


Choice = int | Mixture
"""For one cell: the position of a single candidate, or a mixture."""

Route = Mapping[str, Choice]
"""A choice for every cell, by name. One route serves a whole training step: anchors, positives and negatives."""

Routes = Route | tuple[Route, ...]
"""One route, or several whose losses or scores are averaged."""


def mixture_route(weights: Mapping[str, Tensor]) -> Route:
    """Returns the route that runs every candidate of every cell.

    Args:
        weights: Weights of each cell's candidates, shape (n,).
    """
    return {cell: Mixture(cell_weights) for cell, cell_weights in weights.items()}
