"""The weighted sum of a cell's candidates, merged filters included, and dropout."""

from collections.abc import Sequence

from torch import Tensor, nn

from avhash_nas.kernels.mixture_native import dropout_native, fits, mixture_native
from avhash_nas.kernels.mixture_torch import Filter, mixture_torch, run_filter

__all__ = ["Filter", "causal_filter", "dropout", "mixture"]

_LEVELS = 2**16


def mixture(
    weights: Sequence[Tensor],
    terms: Sequence[Tensor],
    x: Tensor | None = None,
    filter_weights: Sequence[Tensor] = (),
    filters: Sequence[Filter] = (),
) -> Tensor:
    """Computes sum_k weights[k] terms[k] + sum_i filter_weights[i] (filters[i] * x).

    The filters are merged into one. On a CPU a compiled operator takes one pass over memory; PyTorch is used on other
    devices, for mixed types, or without a compiler. Differentiable any number of times.

    Args:
        weights: One scalar per term.
        terms: Sequences, (B, T, W) each.
        x: Input of the filters, (B, T, W); required if there are any.
        filter_weights: One scalar per filter.
        filters: Filters of width W. There is at least one term or filter.
    """
    tensors = [*weights, *terms, *filter_weights, *(part for each in filters for part in each if part is not None)]
    native = fits(*tensors, *([] if x is None else [x]))
    return (mixture_native if native else mixture_torch)(x, filter_weights, filters, weights, terms)


def causal_filter(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    """Applies one filter: y_t = bias + sum_j taps[:, k - 1 - j] x_{t - j}, with x = 0 before the first step.

    Args:
        x: (B, T, W).
        taps: (W, k).
        bias: (W,).

    Returns:
        (B, T, W), in the type of x.
    """
    if fits(x, taps, *([] if bias is None else [bias])):
        return mixture_native(x, [x.new_ones(())], [Filter(taps, bias)], (), ())
    return run_filter(x, taps, bias)


def dropout(x: Tensor, probability: float, *, rectify: bool = False) -> Tensor:
    """Zeroes each value with a probability and scales the others, so that the mean is preserved.

    On a CPU, torch's dropout spends most of its time on drawing the mask. Here a compiled operator hashes one random
    number with each value's position and stores no mask; it rounds the probability to a multiple of 2^-16 and scales
    accordingly. Elsewhere torch's own dropout is used.

    Args:
        x: Any shape.
        probability: In [0, 1).
        rectify: Whether to apply ReLU first.
    """
    dropped = min(round(probability * _LEVELS), _LEVELS - 1)
    if dropped and fits(x):
        return dropout_native(x, dropped, _LEVELS / (_LEVELS - dropped), rectify=rectify)
    x = nn.functional.relu(x) if rectify else x
    return nn.functional.dropout(x, probability) if probability else x
