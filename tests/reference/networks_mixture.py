"""A mixture as Eq. 39 has it: every candidate on its own, times its weight, added up."""


def weighted_sum(operators, weights, requires_grad, inputs):
    total = 0
    for operator, weight, learns in zip(operators, weights, requires_grad, strict=True):
        output = operator(*inputs)
        total = total + weight * (output if learns else output.detach())
    return total
