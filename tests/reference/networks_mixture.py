"""A mixture as Eq. 39 has it: every candidate on its own, times its weight, added up."""


def mix(operators, weights, live, inputs):
    total = 0
    for operator, weight, lives in zip(operators, weights, live, strict=True):
        output = operator(*inputs)
        total = total + weight * (output if lives else output.detach())
    return total
