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
