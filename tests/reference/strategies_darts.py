"""The hypergradient of a weight step by autograd through that step, and the steps themselves as formulas."""

import torch

from reference.strategies_adam import adam_step


def exact_hypergradient(train, val, weights, alphas, step):
    """d val(step(w, d train / dw), alpha) / d alpha, all of it left to autograd: needs second derivatives of train.

    Args:
        train: Loss by a dict of weights.
        val: The same.
        weights: A dict of tensors.
        alphas: Tensors in the losses' closure.
        step: From two dicts, weights and gradients, to a dict of weights; differentiable.
    """
    weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    gradients = torch.autograd.grad(train(weights), list(weights.values()), create_graph=True)
    after = step(weights, dict(zip(weights, gradients, strict=True)))
    return list(torch.autograd.grad(val(after), list(alphas)))


def unrolled(train, val, weights, alphas, slope, step, quotient, epsilon=0.01):
    """The finite-difference hypergradient with its two places to go wrong left open.

    Args:
        train, val, weights, alphas, step: As above.
        slope: dw'/dg, a dict: -lr for SGD.
        quotient: From the difference of two alpha gradients and the half-width of the way between their places.
        epsilon: Length of the way to either side.
    """
    weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    gradients = torch.autograd.grad(train(weights), list(weights.values()))
    after = step(weights, dict(zip(weights, gradients, strict=True)))
    after = {name: weight.detach().requires_grad_() for name, weight in after.items()}
    found = torch.autograd.grad(val(after), [*alphas, *after.values()])
    direct, by_weights = found[: len(alphas)], dict(zip(after, found[len(alphas) :], strict=True))
    u = {name: slope[name] * by_weights[name] for name in weights}
    h = epsilon / torch.cat([value.flatten() for value in u.values()]).norm().item()
    plus, minus = (
        torch.autograd.grad(train({name: weight + sign * h * u[name] for name, weight in weights.items()}), alphas)
        for sign in (1, -1)
    )
    return [d + quotient(p - n, h) for d, p, n in zip(direct, plus, minus, strict=True)]


def rule_of(optimizer, weights, clip=None, by_value=False):
    """The optimizer's next step as a differentiable function of weights and gradients.

    Args:
        optimizer: SGD, Adam or AdamW, before that step.
        weights: Its parameters, by name.
        clip: What the gradient's norm is cut to, or with `by_value` each element's size.
    """

    def step(values, gradients):
        if clip is not None and by_value:
            gradients = {name: gradient.clamp(-clip, clip) for name, gradient in gradients.items()}
        elif clip is not None:
            norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
            gradients = {name: gradient * (clip / (norm + 1e-6)).clamp(max=1) for name, gradient in gradients.items()}
        after = dict(values)
        for group in optimizer.param_groups:
            for name, weight in weights.items():
                if any(weight is member for member in group["params"]):
                    state = optimizer.state.get(weight)
                    rule = _sgd if isinstance(optimizer, torch.optim.SGD) else _adam
                    decoupled = isinstance(optimizer, torch.optim.AdamW)
                    after[name] = rule(values[name], gradients[name], state, group, decoupled)
        return after

    return step


def _adam(value, gradient, state, group, decoupled):
    if not decoupled:
        gradient = gradient + group["weight_decay"] * value
    zero = torch.zeros_like(value)
    first, second, steps = (state["exp_avg"], state["exp_avg_sq"], int(state["step"])) if state else (zero, zero, 0)
    second = second + 1e-300  # a root that autograd can take the derivative of where the gradient is 0
    decay = group["weight_decay"] if decoupled else 0.0
    settings = {"lr": group["lr"], "betas": group["betas"], "eps": group["eps"], "weight_decay": decay}
    return adam_step(value, gradient, first, second, steps + 1, **settings)[0]


def _sgd(value, gradient, state, group, decoupled):
    gradient = gradient + group["weight_decay"] * value
    velocity = gradient
    if state and group["momentum"]:
        velocity = group["momentum"] * state["momentum_buffer"] + (1 - group["dampening"]) * gradient
    if group["nesterov"]:
        velocity = gradient + group["momentum"] * velocity
    return value - group["lr"] * velocity
