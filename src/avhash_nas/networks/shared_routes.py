"""One network on many single-path routes, each part that several of them share computed once."""

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


class _Node(NamedTuple):
    """A part of one or more routes: a function of other nodes' values."""

    function: Callable[..., Value]
    inputs: tuple[int, ...]


class SharedRoutes:
    """Runs a network on many routes, with each distinct part of them computed once as far as memory allows.

    What a cell gives depends on its own choice and on those before it. So routes that agree in all cells up to some
    point share what is computed there, one encoder's cells independently of the other's; operators of two inputs
    share in addition what depends on one of them (`TwoSided`). The parts of all routes form one graph. It is run node
    by node, and every output is kept until its last reader has run. Where that takes more than the memory given, what
    would occupy most for longest goes first, and is computed again when needed.

    Each route gets, bit for bit, what `network(*features, route)` gives on the same batch, in evaluation mode; in
    training mode routes would share dropout masks and batch statistics.

    Args:
        network: The network.
        routes: A candidate's position for every cell that leaves a choice; equal ones cost nothing. Neighbors should
            have much in common, from the first cells on: sort them.
        memory: Bytes kept from one route to the next, at most. What a route holds while it runs comes on top.

    Raises:
        AvnasError: A route leaves a cell out or does not fit it.
    """

    def __init__(self, network: GraphModule, routes: Sequence[Mapping[str, int]], memory: int) -> None:
        self.memory = memory
        self._nodes: list[_Node] = []
        self._readers: list[list[int]] = [[] for _ in network.inputs]
        self._given = len(network.inputs)
        self._places: dict[_Node, int] = {}
        self._ends: dict[int, list[int]] = {}
        steps = list(network.steps())
        parts = {step.module: network.get_submodule(step.module) for step in steps}
        for number, route in enumerate(routes):
            place = self._lay(network, steps, parts, route)
            self._ends.setdefault(place, []).append(number)

    def __call__(self, *features: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Run all routes on one batch.

        Args:
            *features: The network's inputs.

        Yields:
            A route's number and the network's output, route after route in the order in which they are done.
        """
        kept = _Kept(self._readers, self.memory)
        start = self._given
        for end in sorted(self._ends):
            output = self._run_to(start, end, features, kept)
            start = end + 1
            for number in self._ends[end]:
                yield number, output

    def _run_to(self, start: int, end: int, features: Sequence[Tensor], kept: "_Kept") -> Tensor:
        """The output of the next route, whose new nodes begin at `start`."""
        again: dict[int, Value] = {}
        for place in range(start, end + 1):
            kept.go_to(place, end)
            output = self._run(place, features, kept, again)
            kept.put(place, output)
            kept.release(self._node(place).inputs)
        kept.fit()
        assert isinstance(output, Tensor)
        return output

    def _lay(
        self, network: GraphModule, steps: Sequence[Node], parts: Mapping[str, nn.Module], route: Mapping[str, int]
    ) -> int:
        """Adds the nodes of a route that are not there yet; the place of its output."""
        places = {name: place for place, name in enumerate(network.inputs)}
        for step in steps:
            part = parts[step.module]
            inputs = tuple(places[name] for name in step.inputs)
            chosen = part.chosen(route) if isinstance(part, MixedCell) else part
            if isinstance(chosen, Mixture):
                raise AvnasError(f"cell {step.module}: only routes of single candidates share what they run")
            if isinstance(chosen, Skip | nn.Identity):
                places[step.module] = inputs[0]
            elif isinstance(chosen, TwoSided):
                sides = (self._add(chosen.left, inputs[:1]), self._add(chosen.right, inputs[1:]))
                places[step.module] = self._add(chosen.join, sides)
            else:
                places[step.module] = self._add(chosen, inputs)
        return places[steps[-1].module]

    def _add(self, function: Callable[..., Value], inputs: tuple[int, ...]) -> int:
        node = _Node(function, inputs)
        if node not in self._places:
            place = self._places[node] = self._given + len(self._nodes)
            self._nodes.append(node)
            self._readers.append([])
            for read in set(inputs):
                self._readers[read].append(place)
        return self._places[node]

    def _node(self, place: int) -> _Node:
        return self._nodes[place - self._given]

    def _run(self, place: int, features: Sequence[Tensor], kept: "_Kept", again: dict[int, Value]) -> Value:
        """Computes what a node gives.

        Args:
            place: Of the node.
            features: The network's inputs.
            kept: Values of earlier nodes.
            again: Values that had to be computed again for the present route; grows.
        """
        node = self._node(place)
        values: list[Value] = []
        for read in node.inputs:
            if read < self._given:
                values.append(features[read])
            elif read in kept:
                values.append(kept[read])
            else:
                if read not in again:
                    again[read] = self._run(read, features, kept, again)
                    kept.put(read, again[read])
                values.append(again[read])
        return node.function(*values)


class _Kept:
    """Values of nodes, until their last reader has run.

    What the present route is about to read is kept in any case, as it would be if that route ran alone; what only
    later routes read, as long as there is memory.

    Args:
        readers: For each node the places of those that read it, ascending.
        memory: Bytes.
    """

    def __init__(self, readers: Sequence[Sequence[int]], memory: int) -> None:
        self.memory = memory
        self._readers = readers
        self._bytes = 0
        self._values: dict[int, tuple[Value, int]] = {}
        self.go_to(0, 0)

    def __contains__(self, place: int) -> bool:
        return place in self._values

    def __getitem__(self, place: int) -> Value:
        return self._values[place][0]

    def go_to(self, place: int, end: int) -> None:
        """The node at a place is the present one, and that at `end` the last one of its route."""
        self._now, self._end = place, end

    def put(self, place: int, value: Value) -> None:
        """Keep a value if a node behind the present one reads it."""
        if self._next_reader(place):
            self._values[place] = (value, _bytes(value))
            self._bytes += self._values[place][1]
            self.fit()

    def release(self, places: Sequence[int]) -> None:
        """Let go of those values that no node behind the present one reads."""
        for place in places:
            if place in self._values and not self._next_reader(place):
                self._drop(place)

    def fit(self) -> None:
        """Let go of what no longer fits, beginning with what would occupy most for longest: bytes times steps."""
        if self._bytes <= self.memory:
            return
        readers = {place: self._next_reader(place) for place in self._values}
        later = [place for place, reader in readers.items() if reader > self._end]
        later.sort(key=lambda place: self._values[place][1] * (readers[place] - self._now))
        while later and self._bytes > self.memory:
            self._drop(later.pop())

    def _next_reader(self, place: int) -> int:
        """Place of the first node behind the present one that reads a value; 0 if none does."""
        readers = self._readers[place]
        position = bisect_right(readers, self._now)
        return readers[position] if position < len(readers) else 0

    def _drop(self, place: int) -> None:
        self._bytes -= self._values.pop(place)[1]


def _bytes(value: Value) -> int:
    """Memory that tensors hold on to, which is more than their own where they are views."""
    storages = [tensor.untyped_storage() for tensor in ((value,) if isinstance(value, Tensor) else value)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
