"""A mixture's sum in PyTorch."""

from collections.abc import Sequence

from torch import Tensor

from avhash_nas.kernels.filters import Filter, merge_filters, run_filter
from avhash_nas.kernels.weighted_sum import weighted_sum


def mixture_torch(
    x: Tensor | None,
    filter_weights: Sequence[Tensor],
    filters: Sequence[Filter],
    weights: Sequence[Tensor],
    terms: Sequence[Tensor],
) -> Tensor:
    """`avhash_nas.kernels.mixture` in PyTorch, for any tensors; it can be differentiated any number of times."""
    start = None if x is None else run_filter(x, *merge_filters(filter_weights, filters))
    return weighted_sum(weights, terms, start=start)
