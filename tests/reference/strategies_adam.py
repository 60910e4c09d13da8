"""One joint step of AV-NAS's one-level search, from torch.autograd.grad and the text of the Adam paper."""

import torch


def adam_step(value, gradient, first, second, step, lr, betas, eps, weight_decay):
    """Algorithm 1 of Kingma and Ba (2015), after AdamW's decoupled decay. `step` counts from 1.

    Returns:
        The new value, and both moments.
    """
    beta1, beta2 = betas
    value = value - lr * weight_decay * value
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    corrected_first = first / (1 - beta1**step)
    corrected_second = second / (1 - beta2**step)
    return value - lr * corrected_first / (torch.sqrt(corrected_second) + eps), first, second


def joint_adam(parameters, losses, settings):
    """Eq. 40: at each step the gradient of the one training loss by all parameters, then Adam on each.

    Args:
        parameters: Tensors that require gradients, by name; changed in place.
        losses: One function of no arguments for each step.
        settings: By name: lr, betas, eps, weight_decay.
    """
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in parameters.items()}
    for step, loss in enumerate(losses, start=1):
        gradients = torch.autograd.grad(loss(), list(parameters.values()))
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            value, *moments[name] = adam_step(parameter.detach(), gradient, *moments[name], step, **settings[name])
            with torch.no_grad():
                parameter.copy_(value)
