"""Baselines: hashing and parsing networks of published methods, and their losses."""

from avhash_nas.baselines.avh_style import AVHStyle
from avhash_nas.baselines.avhash import AVHash
from avhash_nas.baselines.avhash_loss import AVHashLoss
from avhash_nas.baselines.bth import BTH, BTHLoss
from avhash_nas.baselines.conmh import ConMH
from avhash_nas.baselines.convolutions import Convolutions
from avhash_nas.baselines.dkph import DKPH, DKPHLoss
from avhash_nas.baselines.dsvh_style import DSVHStyle
from avhash_nas.baselines.eercf import EERCF
from avhash_nas.baselines.framewise_mlp import FramewiseMLP
from avhash_nas.baselines.han import HAN
from avhash_nas.baselines.link_style import LINKStyle
from avhash_nas.baselines.mcmsh import MCMSH
from avhash_nas.baselines.mcmsh_loss import MCMSHLoss
from avhash_nas.baselines.mlp import MeanPoolMLP
from avhash_nas.baselines.s5vh import S5VH
from avhash_nas.baselines.segment_mlp import SegmentMLP
from avhash_nas.baselines.srh_style import SRHStyle
from avhash_nas.baselines.ssth import SSTH
from avhash_nas.baselines.ssth_loss import SSTHLoss
from avhash_nas.baselines.valor import VALOR

__all__ = [
    "BTH",
    "DKPH",
    "EERCF",
    "HAN",
    "MCMSH",
    "S5VH",
    "SSTH",
    "VALOR",
    "AVHStyle",
    "AVHash",
    "AVHashLoss",
    "BTHLoss",
    "ConMH",
    "Convolutions",
    "DKPHLoss",
    "DSVHStyle",
    "FramewiseMLP",
    "LINKStyle",
    "MCMSHLoss",
    "MeanPoolMLP",
    "SRHStyle",
    "SSTHLoss",
    "SegmentMLP",
]
