"""Runs one network on many single-path routes and computes the parts that routes share once."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks.graph import GraphModule, Node
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.networks.route import Mixture
from avhash_nas.operators import Skip
from avhash_nas.operators.operator import TwoSided

Value = Tensor | tuple[Tensor, ...]


class _Computation(NamedTuple):
    """A computation of one or more routes: a function of other computations' values."""

    function: Callable[..., Value]
    inputs: tuple[int, ...]


class SharedRoutes:
    """Runs a network on many routes; each distinct computation runs once, as far as memory allows.

    The output of a cell depends on its own choice and on those before it. Routes that agree in all cells up to some
    point share the computations up to there, separately in each encoder; operators of two inputs also share what
    depends on one input only (`TwoSided`). The computations of all routes form one graph, which runs in order, and each
    value is kept until its last reader has run. If that exceeds the memory, the values with the largest product of size
    and remaining time are dropped first, and recomputed when needed.

    Each route returns, bit for bit, what `network(*features, route)` returns on the same batch in evaluation mode; in
    training mode routes would share dropout masks and batch statistics.

    Args:
        network: The network.
        routes: A candidate's position for every cell with a choice; equal routes cost nothing. Consecutive routes
            should agree in as many of the first cells as possible: sort them.
        memory: Largest number of bytes kept from one route to the next, beside the values of the running route.

    Raises:
        AvnasError: A route has no valid choice for a cell.
    """

    def __init__(self, network: GraphModule, routes: Sequence[Mapping[str, int]], memory: int) -> None:
        self.memory = memory
        self._computations: list[_Computation] = []
        self._readers: list[list[int]] = [[] for _ in network.inputs]
        self._inputs = len(network.inputs)
        self._positions: dict[_Computation, int] = {}
        self._ends: dict[int, list[int]] = {}
        graph = list(network.flat_graph())
        parts = {node.module: network.get_submodule(node.module) for node in graph}
        for number, route in enumerate(routes):
            self._ends.setdefault(self._add_route(network, graph, parts, route), []).append(number)

    def __call__(self, *features: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Runs all routes on one batch.

        Args:
            *features: The network's inputs.

        Yields:
            The number of a route and the network's output, in the order in which the routes end.
        """
        values = _Values(self._readers, self.memory)
        start = self._inputs
        for end in sorted(self._ends):
            output = self._run_to(start, end, features, values)
            start = end + 1
            for number in self._ends[end]:
                yield number, output

    def _run_to(self, start: int, end: int, features: Sequence[Tensor], values: "_Values") -> Tensor:
        """Computes the output of the next route, whose new computations begin at `start`."""
        recomputed: dict[int, Value] = {}
        for position in range(start, end + 1):
            values.go_to(position, end)
            output = self._run(position, features, values, recomputed)
            values.put(position, output)
            values.release(self._computation(position).inputs)
        values.fit()
        assert isinstance(output, Tensor)
        return output

    def _add_route(
        self, network: GraphModule, graph: Sequence[Node], parts: Mapping[str, nn.Module], route: Mapping[str, int]
    ) -> int:
        """Adds the new computations of a route and returns the position of its output."""
        positions = {name: position for position, name in enumerate(network.inputs)}
        for node in graph:
            part = parts[node.module]
            inputs = tuple(positions[name] for name in node.inputs)
            chosen = part.chosen(route) if isinstance(part, MixedCell) else part
            if isinstance(chosen, Mixture):
                raise AvnasError(f"cell {node.module}: only routes of single candidates share what they run")
            if isinstance(chosen, Skip | nn.Identity):
                positions[node.module] = inputs[0]
            elif isinstance(chosen, TwoSided):
                sides = (self._add(chosen.left, inputs[:1]), self._add(chosen.right, inputs[1:]))
                positions[node.module] = self._add(chosen.join, sides)
            else:
                positions[node.module] = self._add(chosen, inputs)
        return positions[graph[-1].module]

    def _add(self, function: Callable[..., Value], inputs: tuple[int, ...]) -> int:
        computation = _Computation(function, inputs)
        if computation not in self._positions:
            position = self._positions[computation] = self._inputs + len(self._computations)
            self._computations.append(computation)
            self._readers.append([])
            for source in set(inputs):
                self._readers[source].append(position)
        return self._positions[computation]

    def _computation(self, position: int) -> _Computation:
        return self._computations[position - self._inputs]

    def _run(self, position: int, features: Sequence[Tensor], values: "_Values", recomputed: dict[int, Value]) -> Value:
        """Runs a computation; dropped values that it needs are added to `recomputed`, for the current route."""
        computation = self._computation(position)
        arguments: list[Value] = []
        for source in computation.inputs:
            if source < self._inputs:
                arguments.append(features[source])
            elif source in values:
                arguments.append(values[source])
            else:
                if source not in recomputed:
                    recomputed[source] = self._run(source, features, values, recomputed)
                    values.put(source, recomputed[source])
                arguments.append(recomputed[source])
        return computation.function(*arguments)


class _Values:
    """Values of computations, until their last reader has run.

    Values that the current route will read are always kept, as they would be if that route ran alone; values that only
    later routes read are kept as long as memory suffices.

    Args:
        readers: For each computation the positions of its readers, ascending.
        memory: Bytes.
    """

    def __init__(self, readers: Sequence[Sequence[int]], memory: int) -> None:
        self.memory = memory
        self._readers = readers
        self._bytes = 0
        self._values: dict[int, tuple[Value, int]] = {}
        self.go_to(0, 0)

    def __contains__(self, position: int) -> bool:
        return position in self._values

    def __getitem__(self, position: int) -> Value:
        return self._values[position][0]

    def go_to(self, position: int, end: int) -> None:
        """Moves to a computation of the route that ends at `end`."""
        self._now, self._end = position, end

    def put(self, position: int, value: Value) -> None:
        """Keeps a value if a later computation reads it."""
        if self._next_reader(position):
            self._values[position] = (value, _bytes(value))
            self._bytes += self._values[position][1]
            self.fit()

    def release(self, positions: Sequence[int]) -> None:
        """Drops those values that no later computation reads."""
        for position in positions:
            if position in self._values and not self._next_reader(position):
                self._drop(position)

    def fit(self) -> None:
        """Drops values that exceed the memory, by falling product of bytes and distance to the next reader."""
        if self._bytes <= self.memory:
            return
        readers = {position: self._next_reader(position) for position in self._values}
        later = [position for position, reader in readers.items() if reader > self._end]
        later.sort(key=lambda position: self._values[position][1] * (readers[position] - self._now))
        while later and self._bytes > self.memory:
            self._drop(later.pop())

    def _next_reader(self, position: int) -> int:
        """Position of the next computation that reads a value; 0 if there is none."""
        readers = self._readers[position]
        rank = bisect_right(readers, self._now)
        return readers[rank] if rank < len(readers) else 0

    def _drop(self, position: int) -> None:
        self._bytes -= self._values.pop(position)[1]


def _bytes(value: Value) -> int:
    """Size of the storages that tensors keep alive: a view keeps all of its base."""
    storages = [tensor.untyped_storage() for tensor in ((value,) if isinstance(value, Tensor) else value)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
