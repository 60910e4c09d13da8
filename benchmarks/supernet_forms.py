"""Other forms of the supernet's arithmetic: as it was before it was made fast, and as the paper's authors train.

Each form is a context in which the library's own network computes the same in another way: same weights, same wiring.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional

from avhash_nas.networks import mixed_cell
from avhash_nas.operators import attention, convolution, cross, dropout, ssm

Scan = Callable[..., Tensor]


@contextmanager
def plain_form() -> Iterator[None]:
    """Every candidate on its own, weighted and added up; torch's dropout and attention, one convolution for each."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(mixed_cell, "mix", mix))
        stack.enter_context(patch.object(convolution.CausalConv1d, "forward", convolve_image))
        stack.enter_context(patch.object(dropout.Dropout, "forward", drop))
        for module in (attention, cross):
            stack.enter_context(patch.object(module, "multi_head_attention", torch_attention))
        yield


@contextmanager
def authors_form(scan: Scan) -> Iterator[None]:
    """The same from the equations: `conv1d` on sequences of channels, attention and scan as tensor arithmetic."""
    with plain_form(), ExitStack() as stack:
        stack.enter_context(patch.object(convolution.CausalConv1d, "forward", convolve_channels))
        for module in (attention, cross):
            stack.enter_context(patch.object(module, "multi_head_attention", equation_attention))
        for scanning in (ssm, cross):
            stack.enter_context(patch.object(scanning, "selective_scan", scan))
        yield


def mix(
    operators: Sequence[nn.Module], weights: Sequence[Tensor], live: Sequence[bool], inputs: Sequence[Tensor]
) -> Tensor:
    """Eq. 39, term by term."""
    terms = []
    for operator, weight, lives in zip(operators, weights, live, strict=True):
        output = operator(*inputs)
        terms.append(weight * (output if lives else output.detach()))
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def drop(module: dropout.Dropout, x: Tensor) -> Tensor:
    """ReLU where it comes first, and torch's dropout."""
    return functional.dropout(functional.relu(x) if module.rectify else x, module.p, module.training)


def convolve_image(convolution: nn.Conv1d, x: Tensor) -> Tensor:
    """A causal convolution as one of an image of height 1, channels last."""
    image = functional.pad(x, (0, 0, convolution.kernel_size[0] - 1, 0)).transpose(1, 2).unsqueeze(2)
    filtered = functional.conv2d(image, convolution.weight.unsqueeze(2), convolution.bias, groups=convolution.groups)
    return filtered.squeeze(2).transpose(1, 2)


def convolve_channels(convolution: nn.Conv1d, x: Tensor) -> Tensor:
    """As in Mamba's plain code: padded on both sides, and cut off behind the last step."""
    padding, steps = convolution.kernel_size[0] - 1, x.shape[1]
    channels = x.transpose(1, 2)
    filtered = functional.conv1d(
        channels, convolution.weight, convolution.bias, padding=padding, groups=convolution.groups
    )
    return filtered[..., :steps].transpose(1, 2)


def _heads(tensor: Tensor, heads: int) -> Tensor:
    return tensor.unflatten(-1, (heads, -1)).transpose(1, 2)


def torch_attention(query: Tensor, key: Tensor, value: Tensor, heads: int, probability: float) -> Tensor:
    """What torch offers."""
    parts = [_heads(tensor, heads) for tensor in (query, key, value)]
    attended = functional.scaled_dot_product_attention(*parts, dropout_p=probability)
    return attended.transpose(1, 2).flatten(2)


def equation_attention(query: Tensor, key: Tensor, value: Tensor, heads: int, probability: float) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V."""
    query, key, value = (_heads(tensor, heads) for tensor in (query, key, value))
    weights = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1)
    return (functional.dropout(weights, probability) @ value).transpose(1, 2).flatten(2)


def textbook_scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None) -> Tensor:
    """Mamba's recurrence, one time step after the other."""
    decay, drive = _discrete(x, delta, A, B)
    h = torch.zeros_like(drive[:, 0])
    states = []
    for t in range(x.shape[1]):
        h = decay[:, t] * h + drive[:, t]
        states.append(h)
    return _read(torch.stack(states, 1), C, D, x)


def parallel_scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None) -> Tensor:
    """The same as an associative scan: work linear in T, depth logarithmic."""
    return _read(_associate(*_discrete(x, delta, A, B)), C, D, x)


def _discrete(x: Tensor, delta: Tensor, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """exp(delta A) and delta B x, (B, T, E, N) each."""
    return torch.exp(delta[..., None] * A), (delta * x)[..., None] * B[:, :, None]


def _read(states: Tensor, C: Tensor, D: Tensor | None, x: Tensor) -> Tensor:
    y = (states @ C[..., None]).squeeze(-1)
    return y if D is None else y + D * x


def _associate(decay: Tensor, drive: Tensor) -> Tensor:
    """All h_t = decay_t h_{t-1} + drive_t: pairs of steps are one step each of a scan of half the length."""
    steps = drive.shape[1]
    if steps == 1:
        return drive
    even, odd = slice(0, steps - steps % 2, 2), slice(1, None, 2)
    second = _associate(decay[:, odd] * decay[:, even], drive[:, odd] + decay[:, odd] * drive[:, even])
    before = second[:, : (steps - 1) // 2]  # the states in front of steps 2, 4, ...
    first = torch.cat((drive[:, :1], drive[:, 2::2] + decay[:, 2::2] * before), 1)
    states = torch.empty_like(drive)
    states[:, ::2], states[:, odd] = first, second
    return states


FORMS: dict[str, Callable[[], object]] = {
    "plain": plain_form,
    "authors, textbook scan": partial(authors_form, textbook_scan),
    "authors, parallel scan": partial(authors_form, parallel_scan),
}
