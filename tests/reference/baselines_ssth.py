"""SSTH in loops over videos, time steps and units, from the equations of its cell, with the batch's statistics."""

import math
from typing import Any

Rows = list[list[float]]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def linear(weight: Rows, bias: list[float], x: list[float]) -> list[float]:
    return [b + math.fsum(w * v for w, v in zip(row, x, strict=True)) for row, b in zip(weight, bias, strict=True)]


def normalized(column: list[float], scale: float, shift: float) -> list[float]:
    mean = math.fsum(column) / len(column)
    variance = math.fsum((v - mean) ** 2 for v in column) / len(column)
    return [scale * (v - mean) / math.sqrt(variance + 1e-5) + shift for v in column]


def cell(state: dict[str, Any], step: int, inputs: Rows, h: Rows, c: Rows) -> tuple[Rows, Rows]:
    """Output gates and normalized states of all videos. Inputs hold what comes to i, f, g, o, in this order."""
    units = len(c[0])
    recurrent, (to_i, to_f, to_o) = state["recurrent"], state["peepholes"]
    pre = [[x + u for x, u in zip(row, linear(recurrent, [0.0] * 4 * units, before), strict=True)]
           for row, before in zip(inputs, h, strict=True)]  # fmt: skip
    raw = [
        [
            sigmoid(pre[v][units + k] + to_f[k] * c[v][k]) * c[v][k]
            + sigmoid(pre[v][k] + to_i[k] * c[v][k]) * math.tanh(pre[v][2 * units + k])
            for k in range(units)
        ]
        for v in range(len(c))
    ]
    scale, shift = state[f"norms.{step}.weight"], state[f"norms.{step}.bias"]
    columns = [normalized([row[k] for row in raw], scale[k], shift[k]) for k in range(units)]
    new = [[columns[k][v] for k in range(units)] for v in range(len(c))]
    gate = [[sigmoid(pre[v][3 * units + k] + to_o[k] * new[v][k]) for k in range(units)] for v in range(len(c))]
    return gate, new


def encode(state: dict[str, Any], videos: list[Rows]) -> tuple[list[Rows], Rows, Rows]:
    """The binary outputs by time step and video, the last h and the last state."""
    units = len(state["cell.peepholes"][0])
    inner = {name.removeprefix("cell."): value for name, value in state.items()}
    b = c = h = [[0.0] * units for _ in videos]
    steps = []
    for t in range(len(videos[0])):
        inputs = [linear(state["input.weight"], state["input.bias"], video[t]) for video in videos]
        o, c = cell(inner, t, inputs, b, c)
        h = [[o[v][k] * c[v][k] for k in range(units)] for v in range(len(videos))]
        b = [[1.0 if value >= 0 else -1.0 for value in row] for row in h]
        steps.append(b)
    return steps, h, c


def decode(state: dict[str, Any], steps: int, code: Rows, c: Rows) -> list[Rows]:
    """What a decoder gives, by time step and video."""
    units = len(c[0])
    inner = {name.removeprefix("cell."): value for name, value in state.items()}
    h, rebuilt = code, []
    for t in range(steps):
        o, c = cell(inner, t, [state["bias"]] * len(code), h, c)
        h = [[o[v][k] * math.tanh(c[v][k]) for k in range(units)] for v in range(len(code))]
        rebuilt.append([linear(state["output.weight"], state["output.bias"], row) for row in h])
    return rebuilt


def loss(network: dict[str, Any], decoders: dict[str, dict[str, Any]], videos: list[Rows], mean_weight: float) -> float:
    """The sum of the three errors, over B T F."""
    frames, features = len(videos[0]), len(videos[0][0])
    steps, _, c = encode(network, videos)
    ahead = decode(decoders["ahead"], frames, steps[-1], c)
    back = decode(decoders["back"], frames, steps[-1], c)
    of_mean = decode(decoders["mean"], 1, steps[-1], c)
    total = 0.0
    for v, video in enumerate(videos):
        for f in range(features):
            total += sum((video[t][f] - ahead[t][v][f]) ** 2 for t in range(frames)) / 3
            total += sum((video[frames - 1 - t][f] - back[t][v][f]) ** 2 for t in range(frames)) / 3
            mean = sum(frame[f] for frame in video) / frames
            total += mean_weight / 3 * (mean - of_mean[0][v][f]) ** 2
    return total / (len(videos) * frames * features)
