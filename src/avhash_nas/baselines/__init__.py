"""Hashing networks that are not searched: yardsticks and rivals."""

from avhash_nas.baselines.avh_style import AVHStyle
from avhash_nas.baselines.avhash import AVHash
from avhash_nas.baselines.avhash_loss import AVHashLoss
from avhash_nas.baselines.dsvh_style import DSVHStyle
from avhash_nas.baselines.mlp import MeanPoolMLP
from avhash_nas.baselines.srh_style import SRHStyle
from avhash_nas.baselines.ssth import SSTH
from avhash_nas.baselines.ssth_loss import SSTHLoss

__all__ = [
    "SSTH",
    "AVHStyle",
    "AVHash",
    "AVHashLoss",
    "DSVHStyle",
    "MeanPoolMLP",
    "SRHStyle",
    "SSTHLoss",
]
