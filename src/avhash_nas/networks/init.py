"""Initialization of networks."""

import torch
from torch import nn

from avhash_nas.networks.encoder import Encoder
from avhash_nas.operators import Operator

_SMALLEST_MAP = 32


@torch.no_grad()
def identity_init_(body: nn.Module) -> None:
    """Initializes a body so that its simplest route is the identity.

    Linear maps start orthogonal and without bias, the residual branches of operators at zero, and in each encoder
    Up' = Up and Down = transpose of Up / 2, so that Down(Up x + Up' x) = x. Few training videos improve a deep body
    little and can damage it: from this start the hash layer gets the pooled features at once, and a small
    `Recipe.body_lr` lets the body follow slowly. Not in the paper.

    Args:
        body: A network without its hash layer. Maps from or to fewer than 32 features (gates, step sizes) stay
            unchanged.
    """
    for module in body.modules():
        if isinstance(module, nn.Linear) and min(module.weight.shape) >= _SMALLEST_MAP:
            nn.init.orthogonal_(module.weight)
            _zero_bias(module)
    for module in body.modules():
        if isinstance(module, Operator):
            for linear in module.residual_outputs():
                nn.init.zeros_(linear.weight)
                _zero_bias(linear)
        if isinstance(module, Encoder) and isinstance(module.up, nn.Linear):
            up, up_gate, down = (module.get_parameter(f"{name}.weight") for name in ("up", "up_gate", "down"))
            up_gate.copy_(up)
            down.copy_(up.T / 2)


def _zero_bias(linear: nn.Linear) -> None:
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
