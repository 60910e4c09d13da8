"""Kernels that PyTorch lacks, each one function with several backends."""

from avhash_nas.kernels.mixture import Filter, causal_filter, dropout, mixture
from avhash_nas.kernels.selective_scan import SecondDerivativeError, scan_backend, selective_scan

__all__ = [
    "Filter",
    "SecondDerivativeError",
    "causal_filter",
    "dropout",
    "mixture",
    "scan_backend",
    "selective_scan",
]
