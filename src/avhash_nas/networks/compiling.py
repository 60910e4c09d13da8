"""torch.compile for networks, in pieces that any route can use."""

import torch
from torch import nn

from avhash_nas.networks.hash_network import HashNetwork
from avhash_nas.networks.mixed_cell import MixedCell

_VERSIONS = 64
"""Graphs that torch may make of one piece of code: operators of one kind share theirs, at several widths and modes."""


def compile_network(network: HashNetwork, backend: str = "inductor") -> int:
    """Compiles a network in place, when its parts are first run; names of the weights, copies and pickles stay.

    Of a network that consists of cells each operator with parameters is compiled by itself: a graph of the whole would
    be made anew for every route of a search, and of a route it would hold the same few operators dozens of times.
    Another network is compiled as a whole. Dropout draws other random numbers than without compilation.

    Args:
        network: In the form and on the device in which it is to be trained.
        backend: Of torch.compile.

    Returns:
        How many modules were compiled.
    """
    cells = [module for module in network.modules() if isinstance(module, MixedCell)]
    operators = [operator for cell in cells for operator in cell.operators.values()]
    modules: list[nn.Module] = [each for each in operators if any(True for _ in each.parameters())]
    if not cells:
        modules = [network]
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VERSIONS)
    for module in modules:
        module.compile(backend=backend)
    return len(modules)


def uncompile_network(network: nn.Module) -> None:
    """Takes back what `compile_network` did."""
    for module in network.modules():
        vars(module).pop("_compiled_call_impl", None)  # where nn.Module.compile puts it; copies lose it, too
