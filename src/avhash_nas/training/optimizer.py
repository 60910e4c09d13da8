"""Parameter groups of the weights, and AdamW in its fastest form."""

from collections.abc import Iterable, Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import nn

from avhash_nas.networks import VideoNetwork
from avhash_nas.objectives import Objective
from avhash_nas.training.recipe import Recipe

_FUSED_ON = {"cpu", "cuda", "mps", "xpu"}
"""Devices with a fused AdamW in torch."""


def weight_groups(network: VideoNetwork, objective: Objective, recipe: Recipe) -> list[dict[str, Any]]:
    """The weights grouped by learning rate (body, others) and weight decay (matrices; vectors and SSM rates).

    Args:
        network: Its `head` is not part of the body.
        objective: Its parameters have the head's learning rate.
        recipe: Learning rates, weight decay, and the `lr_multiplier` of each group.
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


def make_adamw(
    groups: Iterable[Mapping[str, Any]], lr: float, eps: float, *, beta1: float = 0.9, fused: bool = True
) -> torch.optim.AdamW:
    """AdamW, fused if the parameters' device allows it.

    The fused form gives the same as the others up to rounding. It can load their state, and a loaded state keeps the
    form in which it was saved.

    Args:
        groups: Parameter groups; a group without a weight decay of its own has none.
        lr: Learning rate of groups without their own.
        eps: Epsilon.
        beta1: Decay of the mean of gradients.
        fused: False leaves the choice of the form to torch; see `can_fuse`.
    """
    copies = [{**group, "params": list(group["params"])} for group in groups]
    parameters = [parameter for group in copies for parameter in group["params"]]
    suited = all(each.device.type in _FUSED_ON and each.is_floating_point() for each in parameters)
    options: dict[str, Any] = {"betas": (beta1, 0.999), "eps": eps, "fused": True if fused and suited else None}
    return torch.optim.AdamW(copies, lr=lr, weight_decay=0.0, **options)


def can_fuse(trainer: L.Trainer) -> bool:
    """Whether a Trainer allows a fused step: Lightning refuses to clip gradients in mixed precision with one."""
    return not (trainer.gradient_clip_val and isinstance(trainer.precision_plugin, MixedPrecision))
