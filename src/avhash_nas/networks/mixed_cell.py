"""A cell of the network with the operators that it can become."""

import inspect
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.kernels import Filter, mixture
from avhash_nas.networks.route import Mixture, Route
from avhash_nas.operators import Operator, find_operator
from avhash_nas.space import Cell


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


class MixedCell(nn.Module):
    """The candidates of one cell. It holds no sampled state: the route says what runs.

    Args:
        cell: The cell.
        sizes: What an operator's constructor may ask for by name: width, model_width, hidden, expand, heads, states,
            rank, dropout.

    Raises:
        AvnasError: A candidate is unknown, cannot fill this kind of cell, or asks for something else.
    """

    def __init__(self, cell: Cell, sizes: Mapping[str, float]) -> None:
        super().__init__()
        self.cell = cell
        self.operators = nn.ModuleDict(
            {_key(name): build_operator(cell.kind, name, sizes) for name in cell.candidates},
        )

    def forward(self, *inputs: Tensor, route: Route | None) -> Tensor:
        """Run the route's choice for this cell.

        Args:
            *inputs: One or two tensors (B, T, width), as the kind of cell has it.
            route: Needed when the cell has several candidates.

        Returns:
            Shape (B, T, width).

        Raises:
            AvnasError: The cell has several candidates and the route leaves it out or does not fit it.
        """
        chosen = self.chosen(route)
        if isinstance(chosen, Mixture):
            return self._mix(list(self.operators.values()), chosen, inputs)
        return self._run(chosen, inputs)

    def chosen(self, route: Route | None) -> nn.Module | Mixture:
        """What a route runs in this cell: one operator, which is the only one where there is no choice, or a mixture.

        Raises:
            AvnasError: The cell has several candidates and the route leaves it out or does not fit it.
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

    def _mix(self, operators: list[nn.Module], mixture: Mixture, inputs: tuple[Tensor, ...]) -> Tensor:
        positions = mixture.candidates if mixture.candidates is not None else tuple(range(len(operators)))
        if len(positions) != len(mixture.weights):
            raise AvnasError(
                f"cell {self.cell.name}: {len(mixture.weights)} weights for {len(positions)} candidates that run",
            )
        running = [operators[self._position(position)] for position in positions]
        live = [position not in mixture.detached for position in positions]
        return mix(running, mixture.weights.unbind(), live, inputs)

    @staticmethod
    def _run(operator: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        output: Tensor = operator(*inputs)
        return output


def build_operator(kind: str, name: str, sizes: Mapping[str, float]) -> Operator:
    """Construct the operator of a candidate, giving its constructor what it asks for by name.

    Raises:
        AvnasError: The constructor asks for something that is not in `sizes`.
    """
    operator = find_operator(kind, name)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(operator).parameters
    wanted = {key: value for key, value in parameters.items() if value.kind not in variadic}
    missing = [key for key, value in wanted.items() if key not in sizes and value.default is inspect.Parameter.empty]
    if missing:
        raise AvnasError(f"operator {name}: asks for {', '.join(missing)}; a network offers {', '.join(sizes)}")
    return operator(**{key: sizes[key] for key in wanted if key in sizes})


def _key(name: str) -> str:
    """Name of a candidate's module: nn.ModuleDict takes no dots."""
    return name.replace(".", "_")
