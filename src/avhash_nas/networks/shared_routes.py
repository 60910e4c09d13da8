"""One network on many single-path routes, each part that several of them share computed once."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.networks.route import Mixture
from avhash_nas.networks.wiring import Step, Wired
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
    would occupy most for longest (bytes times steps to the next reader) goes first, and is computed again when needed.

    Each route gets, bit for bit, what `network(*features, route)` gives on the same batch, in evaluation mode; in
    training mode routes would share dropout masks and batch statistics.

    Args:
        network: The network.
        routes: A candidate's position for every cell that leaves a choice; equal ones cost nothing. Neighbours should
            have much in common, from the first cells on: sort them.
        memory: Bytes kept between two operators, at most; what the running operator reads and makes comes on top.

    Raises:
        AvnasError: A route leaves a cell out or does not fit it.
    """

    def __init__(self, network: Wired, routes: Sequence[Mapping[str, int]], memory: int) -> None:
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
        for place in range(self._given, self._given + len(self._nodes)):
            output = self._value(place, place, features, kept, {})
            for number in self._ends.get(place, ()):
                assert isinstance(output, Tensor)
                yield number, output
            kept.release(self._node(place).inputs, place)

    def _lay(
        self, network: Wired, steps: Sequence[Step], parts: Mapping[str, nn.Module], route: Mapping[str, int]
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

    def _value(self, place: int, now: int, features: Sequence[Tensor], kept: "_Kept", fresh: dict[int, Any]) -> Value:
        """What a node gives: kept, computed in this step already, or computed now."""
        if place < self._given:
            return features[place]
        if place in kept:
            return kept[place]
        if place not in fresh:
            node = self._node(place)
            fresh[place] = node.function(*[self._value(read, now, features, kept, fresh) for read in node.inputs])
            kept.put(place, fresh[place], now)
        value: Value = fresh[place]
        return value


class _Kept:
    """Values of nodes, as long as somebody will read them and they fit into the memory.

    Args:
        readers: For each node the places of those that read it, ascending.
        memory: Bytes.
    """

    def __init__(self, readers: Sequence[Sequence[int]], memory: int) -> None:
        self.memory = memory
        self.bytes = 0
        self._readers = readers
        self._values: dict[int, tuple[Value, int]] = {}

    def __contains__(self, place: int) -> bool:
        return place in self._values

    def __getitem__(self, place: int) -> Value:
        return self._values[place][0]

    def put(self, place: int, value: Value, now: int) -> None:
        """Keep a value if a node behind `now` reads it, and let go of what no longer fits."""
        if not self._steps_to_reader(place, now):
            return
        size = _bytes(value)
        self._values[place] = (value, size)
        self.bytes += size
        while self.bytes > self.memory:
            self._drop(max(self._values, key=lambda each: self._values[each][1] * self._steps_to_reader(each, now)))

    def release(self, places: Sequence[int], now: int) -> None:
        """Let go of those values that no node behind `now` reads."""
        for place in places:
            if place in self._values and not self._steps_to_reader(place, now):
                self._drop(place)

    def _steps_to_reader(self, place: int, now: int) -> int:
        """Steps until the value is read next; 0 if it never is."""
        readers = self._readers[place]
        position = bisect_right(readers, now)
        return readers[position] - now if position < len(readers) else 0

    def _drop(self, place: int) -> None:
        self.bytes -= self._values.pop(place)[1]


def _bytes(value: Value) -> int:
    """Memory that tensors hold on to, which is more than their own where they are views."""
    storages = [tensor.untyped_storage() for tensor in ((value,) if isinstance(value, Tensor) else value)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
