"""Hashing networks that are not searched: yardsticks and rivals."""

from avhash_nas.baselines.mlp import MeanPoolMLP

__all__ = ["MeanPoolMLP"]
