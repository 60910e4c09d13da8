"""The weighted sum of a cell's candidates, what is linear in one piece."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avhash_nas.kernels import Filter, mixture
from avhash_nas.operators import Operator


def mix(
    operators: Sequence[nn.Module], weights: Sequence[Tensor], live: Sequence[bool], inputs: Sequence[Tensor]
) -> Tensor:
    """Computes sum_k weights[k] * operators[k](*inputs), Eq. 39.

    Operators that are filters over time (`Operator.as_filter`) run as one, whose taps are the weighted sum of theirs.

    Args:
        operators: The candidates that run, in any number.
        weights: A scalar for each.
        live: Whether gradients reach an operator's parameters and, through it, the inputs. The others are run without
            a graph; only their weights get gradients.
        inputs: What every operator reads.
    """
    filters = {place: found for place, found in _filters(operators, inputs) if live[place]} if len(inputs) == 1 else {}
    if len(filters) < 2:
        filters = {}
    others = [place for place in range(len(operators)) if place not in filters]
    terms = [_run(operators[place], inputs, live[place]) for place in others]
    x = inputs[0] if filters else None
    filter_weights = [weights[place] for place in filters]
    return mixture([weights[place] for place in others], terms, x, filter_weights, [*filters.values()])


def _filters(operators: Sequence[nn.Module], inputs: Sequence[Tensor]) -> list[tuple[int, Filter]]:
    """The operators that are filters, by place."""
    found = [operator.as_filter(inputs[0]) if isinstance(operator, Operator) else None for operator in operators]
    return [(place, each) for place, each in enumerate(found) if each is not None]


def _run(operator: nn.Module, inputs: Sequence[Tensor], live: bool) -> Tensor:
    with torch.set_grad_enabled(live and torch.is_grad_enabled()):
        output: Tensor = operator(*inputs)
    return output if live else output.detach()  # it may be an input itself
