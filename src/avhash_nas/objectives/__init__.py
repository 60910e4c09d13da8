"""Losses that shape the codes: a pure function and a thin module of each."""

from avhash_nas.objectives.base import CodeObjective, Objective
from avhash_nas.objectives.batch_triplet import BatchTriplet, batch_triplet
from avhash_nas.objectives.info_nce import InfoNCE, TripletInfoNCE, info_nce, info_nce_triplets

__all__ = [
    "BatchTriplet",
    "CodeObjective",
    "InfoNCE",
    "Objective",
    "TripletInfoNCE",
    "batch_triplet",
    "info_nce",
    "info_nce_triplets",
]
