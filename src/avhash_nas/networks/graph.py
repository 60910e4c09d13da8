"""The wiring of a network as data: which module reads whose output.

It is declared once. The forward pass walks it for one route (`GraphModule.run_graph`), `SharedRoutes` for many at once.
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
    """Runs a module so that only its inputs are kept for the backward pass.

    Computing again gives the same: random numbers and autocast are those of the first time, and so are parameters that
    `torch.func.functional_call` has put in place of the module's own, though they are gone by then.

    Args:
        module: Returns one tensor.
        inputs: Its arguments.
        keywords: Its keyword arguments; gradients reach tensors within them, too.
    """
    named: Iterable[tuple[str, Tensor]] = module.named_parameters()
    replaced = {name: each for name, each in named if not isinstance(each, nn.Parameter)}

    def again(*inputs: Tensor) -> Tensor:
        output: Tensor = functional_call(module, replaced, inputs, keywords)
        return output

    if replaced:
        result: Tensor = checkpoint(again, *inputs, use_reentrant=False)
    else:
        result = checkpoint(module, *inputs, use_reentrant=False, **keywords)
    return result


class Node(NamedTuple):
    """One module of a wiring.

    Args:
        module: Name of the submodule; its output goes by the same name.
        inputs: What it reads: names of earlier steps, or of what the whole is given.
    """

    module: str
    inputs: tuple[str, ...]


class GraphModule(nn.Module):
    """A module that runs submodules as its wiring says.

    Attributes:
        inputs: Names of what it is given.
        graph: The submodules in the order in which they run; the last one's output is that of the whole.
        checkpointing: Whether cells are run again in the backward pass instead of keeping what they compute.
    """

    inputs: tuple[str, ...]
    graph: tuple[Node, ...]
    checkpointing: bool = False

    def checkpoint_cells(self, wanted: bool = True) -> None:
        """Less memory for more time: set `checkpointing` here and in all parts that are wired."""
        for part in self.modules():
            if isinstance(part, GraphModule):
                part.checkpointing = wanted

    def run_graph(self, inputs: Sequence[Tensor], route: Route | None, steps: int | None = None) -> Tensor:
        """Run all steps or the first ones, each output kept until its last reader has run.

        Args:
            inputs: What the whole is given, in the order of `inputs`.
            route: What each cell runs.
            steps: How many steps; as a slice counts, -1 leaves out the last one.

        Returns:
            Output of the last step that ran.
        """
        graph = self.graph[:steps]
        values = dict(zip(self.inputs, inputs, strict=True))
        last_reader = {name: step.module for step in graph for name in step.inputs}
        for step in graph:
            part = self.get_submodule(step.module)
            routed = {"route": route} if isinstance(part, MixedCell | GraphModule) else {}
            given = tuple(values[name] for name in step.inputs)
            if self.checkpointing and isinstance(part, MixedCell) and torch.is_grad_enabled():
                values[step.module] = run_checkpointed(part, given, routed)
            else:
                values[step.module] = part(*given, **routed)
            del given
            for name in set(step.inputs):
                if last_reader[name] == step.module:
                    del values[name]
        return values[graph[-1].module]

    def steps(self) -> Iterator[Node]:
        """The wiring down to cells and plain modules: a part that is wired itself gives its own steps."""
        output_of: dict[str, str] = {}
        for step in self.graph:
            part = self.get_submodule(step.module)
            inputs = tuple(output_of.get(name, name) for name in step.inputs)
            if isinstance(part, GraphModule):
                outside = dict(zip(part.inputs, inputs, strict=True))
                for inner, names in part.steps():
                    output_of[step.module] = f"{step.module}.{inner}"
                    yield Node(
                        f"{step.module}.{inner}", tuple(outside.get(name, f"{step.module}.{name}") for name in names)
                    )
            else:
                yield Node(step.module, inputs)
