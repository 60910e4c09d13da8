"""Losses that shape the codes: a pure function and a thin module of each."""

from avhash_nas.objectives.base import CodeObjective, Objective
from avhash_nas.objectives.info_nce import InfoNCE, TripletInfoNCE, info_nce, info_nce_triplets

__all__ = ["CodeObjective", "InfoNCE", "Objective", "TripletInfoNCE", "info_nce", "info_nce_triplets"]
