"""What the optimizer trains, and AdamW in its fastest form."""

from collections.abc import Iterable, Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import nn

from avhash_nas.networks import HashNetwork
from avhash_nas.objectives import Objective
from avhash_nas.training.recipe import Recipe

_FUSED_ON = {"cpu", "cuda", "mps", "xpu"}
"""Devices for which torch has it."""


def weight_groups(network: HashNetwork, objective: Objective, recipe: Recipe) -> list[dict[str, Any]]:
    """The weights by learning rate (body, others) and weight decay (matrices, or vectors and SSM rates).

    Args:
        network: Its `head` is no part of the body.
        objective: Its parameters learn at the head's rate.
        recipe: Rates and weight decay; `lr_multiplier` of a group is the recipe's.
    """
    head = {id(parameter) for parameter in network.head.parameters()}
    named = [("head" if id(each) in head else "body", name, each) for name, each in network.named_parameters()]
    named += [("objective", name, each) for name, each in objective.named_parameters()]
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for part, name, parameter in named:
        decays = parameter.ndim > 1 and not name.endswith("_log")
        groups.setdefault((part, decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "part": part,
            "lr": recipe.lr * recipe.body_lr if part == "body" else recipe.lr,
            "weight_decay": recipe.weight_decay if decays else 0.0,
            "lr_multiplier": recipe.lr_multiplier,
        }
        for (part, decays), parameters in groups.items()
    ]


def make_adamw(groups: Iterable[Mapping[str, Any]], lr: float, eps: float, *, fused: bool = True) -> torch.optim.AdamW:
    """AdamW whose step is one pass over the memory of parameters, gradients and moments, where their device has that.

    It computes the same as the plain form to the rounding of single numbers, and takes up the plain form's state; what
    is loaded into it goes on in the form in which it was saved.

    Args:
        groups: Parameter groups. Without a weight decay of its own, a group has none.
        lr: Learning rate of groups without one of their own.
        eps: Epsilon.
        fused: False for torch's choice between its other forms; see `can_fuse`.
    """
    given = [{**group, "params": list(group["params"])} for group in groups]
    parameters = [parameter for group in given for parameter in group["params"]]
    suited = all(each.device.type in _FUSED_ON and each.is_floating_point() for each in parameters)
    return torch.optim.AdamW(given, lr=lr, eps=eps, weight_decay=0.0, fused=True if fused and suited else None)


def can_fuse(trainer: L.Trainer) -> bool:
    """Whether a trainer leaves the gradients alone between scaling and step, as a fused step needs.

    Lightning refuses to clip gradients in mixed precision where the step is fused.
    """
    return not (trainer.gradient_clip_val and isinstance(trainer.precision_plugin, MixedPrecision))
