"""The operators of the AV-NAS paper, step by step from its equations, with plain loops over time.

Weights come in as dictionaries of tensors under the names that the equations use.
"""

import torch

from reference.kernels_selective_scan import selective_scan_by_steps


def linear(x, weight, bias=None):
    """FC: y = W x + b for every vector."""
    y = torch.einsum("...i,oi->...o", x, weight)
    return y if bias is None else y + bias


def layer_norm(x, weight, bias, epsilon=1e-5):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + epsilon) * weight + bias


def silu(x):
    return x / (1 + torch.exp(-x))


def softplus(x):
    return torch.log1p(torch.exp(x))


def conv1d(x, weight, bias):
    """Depthwise, causal: y_t = b + sum_j w_j x_{t - k + 1 + j}, with x = 0 before the first step."""
    kernel = weight.shape[-1]
    outputs = []
    for t in range(x.shape[1]):
        y = bias.expand(x.shape[0], -1)
        for j in range(kernel):
            if t - kernel + 1 + j >= 0:
                y = y + weight[:, 0, j] * x[:, t - kernel + 1 + j]
        outputs.append(y)
    return torch.stack(outputs, 1)


def multi_head_attention(query, key, value, heads):
    """softmax(q k / sqrt(d)) v in each head, heads side by side."""
    width = query.shape[-1] // heads
    outputs = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        rows = []
        for t in range(query.shape[1]):
            scores = torch.stack(
                [(query[:, t, part] * key[:, s, part]).sum(-1) / width**0.5 for s in range(key.shape[1])], -1
            )
            weights = torch.exp(scores) / torch.exp(scores).sum(-1, keepdim=True)
            rows.append(sum(weights[:, s, None] * value[:, s, part] for s in range(key.shape[1])))
        outputs.append(torch.stack(rows, 1))
    return torch.cat(outputs, -1)


def self_ssm(x, w, rank, states):
    """The bare scan: x controls its own step sizes and projections."""
    projected = linear(x, w["x_proj"])
    delta = softplus(linear(projected[..., :rank], w["dt_proj"], w["dt_bias"]))
    B, C = projected[..., rank : rank + states], projected[..., rank + states :]
    return selective_scan_by_steps(x, delta, -torch.exp(w["A_log"]), B, C, w["D"])


def cross_mamba(X, Y, w, rank, states, reverse_control=False):
    """Eq. 15-32. Linear_x of Eq. 15, 16 and 17 are `linear_conv`, `linear_silu` and `linear_res`."""
    normed_x, normed_y = layer_norm(X, *w["norm_x"]), layer_norm(Y, *w["norm_y"])
    c_x = conv1d(linear(normed_x, w["linear_conv"]), *w["conv_x"])  # (15)
    c_silu = silu(linear(normed_x, w["linear_silu"]))  # (16)
    c_res = linear(normed_x, w["linear_res"])  # (17)
    c_y = conv1d(linear(normed_y, w["linear_y"]), *w["conv_y"])  # (18)
    control = linear(c_y, w["y_proj"])
    B_y = control[..., rank : rank + states]  # (19)
    C_y = control[..., rank + states :]  # (20)
    delta_y = softplus(linear(control[..., :rank], w["dt_proj"], w["dt_bias"]))  # (21)
    m = X.shape[1]
    reversed_x = [c_x[:, m - 1 - t] for t in range(m)]
    z, z_reversed = [], []
    h = h_reversed = 0.0  # h^0 = 0
    for t in range(m):
        A1_bar = torch.exp(delta_y[:, t, :, None] * -torch.exp(w["A1_log"]))  # (22)
        B_bar = delta_y[:, t, :, None] * B_y[:, t, None, :]  # (24)
        h = A1_bar * h + B_bar * c_x[:, t, :, None]  # (25)
        z.append((h * C_y[:, t, None, :]).sum(-1))  # (26)
    for t in range(m):
        s = m - 1 - t if reverse_control else t
        A2_bar = torch.exp(delta_y[:, s, :, None] * -torch.exp(w["A2_log"]))  # (23)
        B_bar = delta_y[:, s, :, None] * B_y[:, s, None, :]  # (24)
        h_reversed = A2_bar * h_reversed + B_bar * reversed_x[t][..., None]  # (27)
        z_reversed.append((h_reversed * C_y[:, s, None, :]).sum(-1))  # (28)
    Z = torch.stack([z[t] + z_reversed[m - 1 - t] for t in range(m)], 1)  # (29)-(31)
    return linear((Z + c_res) * silu(c_silu), w["linear_f"])  # (32)
