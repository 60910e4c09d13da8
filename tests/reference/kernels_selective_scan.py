"""The selective scan as the Mamba paper writes it: one channel, one state and one step at a time."""

import torch


def selective_scan(x, delta, A, B, C, D=None):
    """h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t, y_t = C_t h_t + D x_t, h_0 = 0, by plain loops."""
    batch, steps, width = x.shape
    rows = []
    for b in range(batch):
        h = [[x.new_zeros(()) for _ in range(A.shape[1])] for _ in range(width)]
        row = []
        for t in range(steps):
            outputs = []
            for e in range(width):
                y = x.new_zeros(()) if D is None else D[e] * x[b, t, e]
                for n in range(A.shape[1]):
                    h[e][n] = torch.exp(delta[b, t, e] * A[e, n]) * h[e][n] + delta[b, t, e] * B[b, t, n] * x[b, t, e]
                    y = y + C[b, t, n] * h[e][n]
                outputs.append(y)
            row.append(torch.stack(outputs))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def selective_scan_by_steps(x, delta, A, B, C, D=None):
    """The same with tensors over videos, channels and states, for longer sequences."""
    h = x.new_zeros(x.shape[0], x.shape[2], A.shape[1])
    outputs = []
    for t in range(x.shape[1]):
        h = torch.exp(delta[:, t, :, None] * A) * h + delta[:, t, :, None] * B[:, t, None, :] * x[:, t, :, None]
        outputs.append((C[:, t, None, :] * h).sum(-1) + (0 if D is None else D * x[:, t]))
    return torch.stack(outputs, 1)


def make(batch=2, steps=5, width=3, states=2, dtype=torch.float64, seed=0):
    """Random inputs x, delta, A, B, C, D that want gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, delta = normal(batch, steps, width), torch.nn.functional.softplus(normal(batch, steps, width))
    A, D = -torch.exp(normal(width, states)), normal(width)
    B, C = normal(batch, steps, states), normal(batch, steps, states)
    return [tensor.to(dtype).requires_grad_() for tensor in (x, delta, A, B, C, D)]


def value_and_gradients(function, inputs):
    """The output, and the gradients of a weighted sum of it."""
    y = function(*inputs)
    weight = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    return y, torch.autograd.grad((y * weight).sum(), inputs)
