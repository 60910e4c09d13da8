"""The encoders of BTH, DKPH and MCMSH for one video, in NumPy and loops over time steps and channels."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
State = Mapping[str, Array]


def linear(state: State, name: str, x: Array) -> Array:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def transformer(state: State, x: Array) -> Array:
    """`FrameTransformer` in evaluation mode, (T, F) -> (T, D)."""
    h = linear(state, "embedding", x)
    steps, width = h.shape
    for t in range(steps):
        for i in range(0, width, 2):
            h[t, i] += math.sin(t / 10000 ** (i / width))
            h[t, i + 1] += math.cos(t / 10000 ** (i / width))
    normed = np.stack([layer_norm(state, "block.norm1", row) for row in h])
    q, k, v = np.split(normed @ state["block.self_attn.in_proj_weight"].T + state["block.self_attn.in_proj_bias"], 3, 1)
    for t in range(steps):
        weights = np.exp([q[t] @ k[s] / math.sqrt(width) for s in range(steps)])
        h[t] += linear(state, "block.self_attn.out_proj", (weights / weights.sum()) @ v)
    for t in range(steps):
        inner = linear(state, "block.linear1", layer_norm(state, "block.norm2", h[t]))
        inner = 0.5 * inner * (1 + np.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
        h[t] += linear(state, "block.linear2", inner)
    return h


def layer_norm(state: State, name: str, row: Array) -> Array:
    return (row - row.mean()) / row.std() * state[f"{name}.weight"] + state[f"{name}.bias"]


def gated_mixer(state: State, x: Array, groups: int) -> Array:
    """`GatedMixer` in evaluation mode, (T, F) -> (T, D)."""
    h = np.maximum(linear(state, "embedding", x), 0)
    h = h + gates(state, "over_time.gates", mlp(state, "over_time.mlp", h.T), 1).T
    h = h + gates(state, "over_channels.gates", mlp(state, "over_channels.mlp", h), groups)
    return gates(state, "gates", h, groups)


def mlp(state: State, name: str, x: Array) -> Array:
    inner = linear(state, f"{name}.0", x)
    exact = np.vectorize(lambda value: 0.5 * value * (1 + math.erf(value / math.sqrt(2))))
    return linear(state, f"{name}.3", exact(inner))


def gates(state: State, name: str, x: Array, groups: int) -> Array:
    return sum(gate(state, f"{name}.{reach}", x, reach, groups) for reach in ("long", "middle", "short"))


def gate(state: State, name: str, x: Array, reach: str, groups: int) -> Array:
    """LRD, MRD or SRD on places (N) x channels (C)."""
    places = len(x)
    x = mix(state, f"{name}.mix_in", x)
    if reach == "long":
        seen, groups = x.mean(0, keepdims=True), 1
    else:
        seen = pool(x, places // 3) if reach == "middle" else x
    narrow = convolve(state[f"{name}.squeeze.weight"], seen, groups)
    narrow = np.maximum(batch_norm(state, f"{name}.squeeze_norm", narrow), 0)
    wide = batch_norm(state, f"{name}.widen_norm", convolve(state[f"{name}.widen.weight"], narrow, groups))
    opening = 1 / (1 + np.exp(-wide))
    if reach == "middle":
        opening = pool(opening, places)
    return mix(state, f"{name}.mix_out", x * opening)


def mix(state: State, name: str, x: Array) -> Array:
    return state[f"{name}.weight"] @ x + state[f"{name}.bias"][:, None]


def pool(x: Array, parts: int) -> Array:
    """Means over parts that overlap where the number of places is no multiple of theirs."""
    bounds = [(i * len(x) // parts, -(-(i + 1) * len(x) // parts)) for i in range(parts)]
    return np.stack([x[first:last].mean(0) for first, last in bounds])


def convolve(weight: Array, x: Array, groups: int) -> Array:
    """Along the places, with zeros beyond the ends; output channel o sees the channels of its group."""
    outputs, inputs, size = weight.shape
    result = np.zeros((len(x), outputs))
    for place in range(len(x)):
        for o in range(outputs):
            first = o // (outputs // groups) * inputs
            for tap in range(size):
                source = place + tap - size // 2
                if 0 <= source < len(x):
                    result[place, o] += weight[o, :, tap] @ x[source, first : first + inputs]
    return result


def batch_norm(state: State, name: str, x: Array) -> Array:
    scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-5)
    return (x - state[f"{name}.running_mean"]) * scale + state[f"{name}.bias"]
