"""torch.compile for networks, operator by operator, so that any route can use the result."""

import torch
from torch import nn

from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.networks.video_network import VideoNetwork

_VERSIONS = 64
"""Limit of compiled versions of one function: operators of one kind share it, at several widths and modes."""


def compile_network(network: VideoNetwork, backend: str = "inductor") -> int:
    """Compiles a network in place, at its first forward pass; names of weights, copies and pickles stay the same.

    In a network of cells, each operator with parameters is compiled separately: a graph of the whole network would be
    compiled for every route of a search, and would contain the same few operators dozens of times. Any other network is
    compiled as a whole. Dropout draws other random numbers than without compilation.

    Args:
        network: The network on the device, and in the form, in which it will be trained.
        backend: Backend of torch.compile.

    Returns:
        Number of compiled modules.
    """
    cells = [module for module in network.modules() if isinstance(module, MixedCell)]
    operators = [operator for cell in cells for operator in cell.operators.values()]
    modules: list[nn.Module] = [operator for operator in operators if any(True for _ in operator.parameters())]
    if not cells:
        modules = [network]
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VERSIONS)
    for module in modules:
        module.compile(backend=backend)
    return len(modules)


def uncompile_network(network: nn.Module) -> None:
    """Undoes `compile_network`."""
    for module in network.modules():
        vars(module).pop("_compiled_call_impl", None)  # set by nn.Module.compile; copies lose it as well
