"""The weighted sum of a cell's candidates with all its filters over time, and dropout."""

from collections.abc import Sequence

from torch import Tensor, nn

from avhash_nas.kernels.filters import Filter, run_filter
from avhash_nas.kernels.mixture_native import dropout_native, fits, mixture_native
from avhash_nas.kernels.mixture_torch import mixture_torch

__all__ = ["Filter", "causal_filter", "dropout", "mixture"]

_LEVELS = 2**16


def mixture(
    weights: Sequence[Tensor],
    terms: Sequence[Tensor],
    x: Tensor | None = None,
    filter_weights: Sequence[Tensor] = (),
    filters: Sequence[Filter] = (),
) -> Tensor:
    """Computes sum_k weights[k] terms[k] + sum_i filter_weights[i] filters[i](x).

    The filters are merged into one. On a CPU a compiled operator takes one pass over memory; elsewhere, for mixed types
    and where it cannot be compiled, it is PyTorch. It can be differentiated any number of times.

    Args:
        weights: A scalar for each term.
        terms: Sequences, (B, T, W) each.
        x: What the filters read, (B, T, W); needed where there are any.
        filter_weights: A scalar for each filter.
        filters: Of width W. There is at least one term or filter.
    """
    given = [*weights, *terms, *filter_weights, *(part for each in filters for part in each if part is not None)]
    native = fits(*given, *([] if x is None else [x]))
    return (mixture_native if native else mixture_torch)(x, filter_weights, filters, weights, terms)


def causal_filter(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    """Applies one filter: y_t = bias + sum_j taps[:, k - 1 - j] x_{t - j}, with x = 0 before the first step.

    Args:
        x: (B, T, W).
        taps: (W, k).
        bias: (W,).

    Returns:
        The output, (B, T, W), in the type of x.
    """
    if fits(x, taps, *([] if bias is None else [bias])):
        return mixture_native(x, [x.new_ones(())], [Filter(taps, bias)], (), ())
    return run_filter(x, taps, bias)


def dropout(x: Tensor, probability: float, *, rectify: bool = False) -> Tensor:
    """Drops each value with a probability and scales up what is kept, so that the mean stays.

    On a CPU torch takes longer to draw a mask than for all else that dropout does. Here a compiled operator hashes one
    random number and each value's place, and keeps no mask: it rounds the probability to a multiple of 2^-16, and the
    scale goes by the rounded one. Elsewhere it is torch's own dropout.

    Args:
        x: Any shape.
        probability: At least 0 and below 1.
        rectify: Whether ReLU comes first.
    """
    dropped = min(round(probability * _LEVELS), _LEVELS - 1)
    if dropped and fits(x):
        return dropout_native(x, dropped, _LEVELS / (_LEVELS - dropped), rectify=rectify)
    x = nn.functional.relu(x) if rectify else x
    return nn.functional.dropout(x, probability) if probability else x
