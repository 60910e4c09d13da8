"""Losses: a pure function and a thin module of each.

AV-NAS trains with `info_nce.InfoNCE`, S5VH with `slg.SLG`.
"""

from avhash_nas.objectives.av_similarity import AVSimilarity, av_similarity, similarity_weight
from avhash_nas.objectives.base import CodeObjective, NetworkObjective, Objective
from avhash_nas.objectives.batch_triplet import BatchTriplet, batch_triplet
from avhash_nas.objectives.channel_correlation import channel_correlation, correlation_loss
from avhash_nas.objectives.cross_info_nce import cross_info_nce
from avhash_nas.objectives.debiased_contrastive import debiased_contrastive
from avhash_nas.objectives.eercf_loss import EERCFLoss
from avhash_nas.objectives.frame_masking import mask_frames
from avhash_nas.objectives.info_nce import InfoNCE, TripletInfoNCE, info_nce, info_nce_triplets
from avhash_nas.objectives.masked_contrastive import MaskedContrastive
from avhash_nas.objectives.pairwise import anchor_alignment, pair_similarity, quadruplet, triplet_margin
from avhash_nas.objectives.segment_labels import SegmentLabels, segment_loss
from avhash_nas.objectives.slg import SLG, center_alignment
from avhash_nas.objectives.weak_labels import ParsingObjective, WeakLabels, bag_loss

__all__ = [
    "SLG",
    "AVSimilarity",
    "BatchTriplet",
    "CodeObjective",
    "EERCFLoss",
    "InfoNCE",
    "MaskedContrastive",
    "NetworkObjective",
    "Objective",
    "ParsingObjective",
    "SegmentLabels",
    "TripletInfoNCE",
    "WeakLabels",
    "anchor_alignment",
    "av_similarity",
    "bag_loss",
    "batch_triplet",
    "center_alignment",
    "channel_correlation",
    "correlation_loss",
    "cross_info_nce",
    "debiased_contrastive",
    "info_nce",
    "info_nce_triplets",
    "mask_frames",
    "pair_similarity",
    "quadruplet",
    "segment_loss",
    "similarity_weight",
    "triplet_margin",
]
