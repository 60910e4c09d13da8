"""ProxylessNAS from its paper's formulas, in plain numbers: no tensors, no autograd."""

import math


def softmax(logits):
    """exp(alpha_i) / sum_j exp(alpha_j)."""
    largest = max(logits)
    powers = [math.exp(value - largest) for value in logits]
    return [power / sum(powers) for power in powers]


def gate_gradient(logits, running, of_gates):
    """Eq. 4 over the candidates that run: dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i), 0 for all others.

    Args:
        logits: Of all candidates of a cell.
        running: Positions of those that run; p is the softmax over them alone.
        of_gates: dL/dg_j of each of those.
    """
    p = softmax([logits[position] for position in running])
    gradient = [0.0] * len(logits)
    for i, position in enumerate(running):
        for j in range(len(running)):
            gradient[position] += of_gates[j] * p[j] * ((i == j) - p[i])
    return gradient


def active_of_two(p):
    """Probability that each candidate is the active one of two paths.

    A first candidate is drawn by p, a second by p without the first, and then one of the two by the ratio of their
    probabilities.
    """
    active = [0.0] * len(p)
    for first in range(len(p)):
        for second in range(len(p)):
            if first == second:
                continue
            drawn = p[first] * p[second] / (1 - p[first])
            for chosen in (first, second):
                active[chosen] += drawn * p[chosen] / (p[first] + p[second])
    return active


def two_path_step(logits, running, of_gates, lr, second_moment=None, step=1, beta2=0.999, eps=1e-8):
    """One update of alpha: Adam without first moment on the gradient above, then the rescaling of the two.

    Args:
        second_moment: Adam's, of all candidates, from the step before.
        step: Counted from 1.

    Returns:
        The new logits and the new second moment.
    """
    gradient = gate_gradient(logits, running, of_gates)
    moment = second_moment or [0.0] * len(logits)
    moment = [beta2 * old + (1 - beta2) * value**2 for old, value in zip(moment, gradient, strict=True)]
    new = [
        value - lr * slope / (math.sqrt(square / (1 - beta2**step)) + eps)
        for value, slope, square in zip(logits, gradient, moment, strict=True)
    ]
    before = sum(math.exp(logits[position]) for position in running)
    after = sum(math.exp(new[position]) for position in running)
    return [value - math.log(after / before) if place in running else value for place, value in enumerate(new)], moment
