"""A cell of the network with its candidate operators."""

import inspect
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.kernels import mixture
from avhash_nas.networks.route import Mixture, Route
from avhash_nas.operators import Operator, find_operator
from avhash_nas.space import Cell


def weighted_sum(
    operators: Sequence[nn.Module], weights: Sequence[Tensor], requires_grad: Sequence[bool], inputs: Sequence[Tensor]
) -> Tensor:
    """Computes sum_k weights[k] * operators[k](*inputs), Eq. 39.

    Operators that are filters over time (`Operator.as_filter`) run as one, whose taps are the weighted sum of theirs.

    Args:
        operators: The candidates, in any number.
        weights: A scalar for each.
        requires_grad: Whether gradients reach an operator's parameters and, through it, the inputs. Other operators run
            without a graph, and only their weights get gradients.
        inputs: Inputs of every operator.
    """
    filters = {}
    if len(inputs) == 1:
        for position, operator in enumerate(operators):
            merged = operator.as_filter(inputs[0]) if isinstance(operator, Operator) else None
            if merged is not None and requires_grad[position]:
                filters[position] = merged
    if len(filters) < 2:
        filters = {}
    others = [position for position in range(len(operators)) if position not in filters]
    terms = [_run(operators[position], inputs, requires_grad[position]) for position in others]
    x = inputs[0] if filters else None
    filter_weights = [weights[position] for position in filters]
    return mixture([weights[position] for position in others], terms, x, filter_weights, [*filters.values()])


def _run(operator: nn.Module, inputs: Sequence[Tensor], requires_grad: bool) -> Tensor:
    with torch.set_grad_enabled(requires_grad and torch.is_grad_enabled()):
        output: Tensor = operator(*inputs)
    return output if requires_grad else output.detach()  # it may be an input itself


class MixedCell(nn.Module):
    """The candidates of one cell. It holds no sampled state: the route selects what runs.

    Args:
        cell: The cell.
        sizes: Arguments of the operators' constructors by name: width, model_width, hidden, expand, heads, states,
            rank, dropout.

    Raises:
        AvnasError: A candidate is unknown, does not fit this kind of cell, or has another argument.
    """

    def __init__(self, cell: Cell, sizes: Mapping[str, float]) -> None:
        super().__init__()
        self.cell = cell
        self.operators = nn.ModuleDict(
            {_key(name): build_operator(cell.kind, name, sizes) for name in cell.candidates},
        )

    def forward(self, *inputs: Tensor, route: Route | None) -> Tensor:
        """Runs the route's choice for this cell.

        Args:
            *inputs: One or two tensors (B, T, width), depending on the kind of cell.
            route: Required when the cell has several candidates.

        Returns:
            Shape (B, T, width).

        Raises:
            AvnasError: The cell has several candidates, and the route has no valid choice for it.
        """
        chosen = self.chosen(route)
        if isinstance(chosen, Mixture):
            return self._mix(chosen, inputs)
        output: Tensor = chosen(*inputs)
        return output

    def chosen(self, route: Route | None) -> nn.Module | Mixture:
        """Returns what a route runs in this cell: the chosen or the only operator, or a mixture.

        Raises:
            AvnasError: The cell has several candidates, and the route has no valid choice for it.
        """
        operators = list(self.operators.values())
        if len(operators) == 1:
            return operators[0]
        if route is None or self.cell.name not in route:
            raise AvnasError(f"cell {self.cell.name} has {len(operators)} candidates: the route has to choose")
        choice = route[self.cell.name]
        return choice if isinstance(choice, Mixture) else operators[self._position(choice)]

    def _position(self, choice: int) -> int:
        if not 0 <= choice < len(self.operators):
            raise AvnasError(f"cell {self.cell.name}: the route chooses {choice} of {len(self.operators)} candidates")
        return choice

    def _mix(self, mixture: Mixture, inputs: tuple[Tensor, ...]) -> Tensor:
        operators = list(self.operators.values())
        positions = mixture.candidates if mixture.candidates is not None else tuple(range(len(operators)))
        if len(positions) != len(mixture.weights):
            raise AvnasError(
                f"cell {self.cell.name}: {len(mixture.weights)} weights for {len(positions)} candidates that run",
            )
        running = [operators[self._position(position)] for position in positions]
        requires_grad = [position not in mixture.detached for position in positions]
        return weighted_sum(running, mixture.weights.unbind(), requires_grad, inputs)


def build_operator(kind: str, name: str, sizes: Mapping[str, float]) -> Operator:
    """Constructs the operator of a candidate, with those sizes that its constructor takes by name.

    Raises:
        AvnasError: The constructor requires an argument that is not in `sizes`.
    """
    operator = find_operator(kind, name)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(operator).parameters
    taken = {key: value for key, value in parameters.items() if value.kind not in variadic}
    missing = [key for key, value in taken.items() if key not in sizes and value.default is inspect.Parameter.empty]
    if missing:
        raise AvnasError(f"operator {name}: asks for {', '.join(missing)}; a network offers {', '.join(sizes)}")
    return operator(**{key: sizes[key] for key in taken if key in sizes})


def _key(name: str) -> str:
    """Name of a candidate's module: nn.ModuleDict does not accept dots."""
    return name.replace(".", "_")
