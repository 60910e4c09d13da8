"""The graph of a network as data: which module reads whose output.

It is declared once. `GraphModule.run_graph` runs it for one route, `SharedRoutes` for many at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.networks.route import Route


def run_checkpointed(module: nn.Module, inputs: tuple[Tensor, ...], keywords: dict[str, Any]) -> Tensor:
    """Runs a module and keeps only its inputs for the backward pass, which recomputes the rest.

    The recomputation is exact: it repeats the random numbers, autocast, and parameters that
    `torch.func.functional_call` had put in place of the module's own.

    Args:
        module: Returns one tensor.
        inputs: Its arguments.
        keywords: Its keyword arguments; gradients also reach tensors within them.
    """
    named: Iterable[tuple[str, Tensor]] = module.named_parameters()
    replaced = {name: value for name, value in named if not isinstance(value, nn.Parameter)}

    def recompute(*inputs: Tensor) -> Tensor:
        output: Tensor = functional_call(module, replaced, inputs, keywords)
        return output

    if replaced:
        result: Tensor = checkpoint(recompute, *inputs, use_reentrant=False)
    else:
        result = checkpoint(module, *inputs, use_reentrant=False, **keywords)
    return result


class Node(NamedTuple):
    """One module of a graph.

    Args:
        module: Name of the submodule and of its output.
        inputs: Names of its inputs: outputs of earlier nodes, or inputs of the graph.
    """

    module: str
    inputs: tuple[str, ...]


class GraphModule(nn.Module):
    """A module that runs its submodules in the order of a graph.

    Attributes:
        inputs: Names of its inputs.
        graph: The nodes in the order in which they run; the output of the last one is that of the graph.
        checkpointing: Recompute cells in the backward pass instead of storing their intermediate values.
    """

    inputs: tuple[str, ...]
    graph: tuple[Node, ...]
    checkpointing: bool = False

    def checkpoint_cells(self, enabled: bool = True) -> None:
        """Sets `checkpointing` in this graph and in all graphs within it: less memory for more time."""
        for part in self.modules():
            if isinstance(part, GraphModule):
                part.checkpointing = enabled

    def run_graph(self, inputs: Sequence[Tensor], route: Route | None, nodes: int | None = None) -> Tensor:
        """Runs the nodes, and drops each output after its last reader.

        Args:
            inputs: Inputs of the graph, in the order of `inputs`.
            route: A choice for every cell.
            nodes: Number of nodes to run, None for all; as in a slice, -1 leaves out the last one.

        Returns:
            Output of the last node that ran.
        """
        graph = self.graph[:nodes]
        values = dict(zip(self.inputs, inputs, strict=True))
        last_reader = {name: node.module for node in graph for name in node.inputs}
        for node in graph:
            part = self.get_submodule(node.module)
            keywords = {"route": route} if isinstance(part, MixedCell | GraphModule) else {}
            arguments = tuple(values[name] for name in node.inputs)
            if self.checkpointing and isinstance(part, MixedCell) and torch.is_grad_enabled():
                values[node.module] = run_checkpointed(part, arguments, keywords)
            else:
                values[node.module] = part(*arguments, **keywords)
            del arguments
            for name in set(node.inputs):
                if last_reader[name] == node.module:
                    del values[name]
        return values[graph[-1].module]

    def flat_graph(self) -> Iterator[Node]:
        """Yields the nodes down to cells and plain modules: a graph within this one yields its own nodes."""
        output_of: dict[str, str] = {}
        for node in self.graph:
            part = self.get_submodule(node.module)
            inputs = tuple(output_of.get(name, name) for name in node.inputs)
            if not isinstance(part, GraphModule):
                yield Node(node.module, inputs)
                continue
            outer = dict(zip(part.inputs, inputs, strict=True))
            for inner, names in part.flat_graph():
                name = output_of[node.module] = f"{node.module}.{inner}"
                yield Node(name, tuple(outer.get(source, f"{node.module}.{source}") for source in names))
