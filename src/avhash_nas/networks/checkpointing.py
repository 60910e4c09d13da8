"""Activation checkpointing: what a module computes is computed again in the backward pass, not kept until then."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint


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
