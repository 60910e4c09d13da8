"""Offline work of self-supervised methods before training: clusters, neighbors, hash centers.

Pure functions of arrays and a seed. S5VH uses `semantic_centers`; BTH, DKPH and MCMSH use `k_means` and `AnchorGraph`
with `data.Tuples`.
"""

from avhash_nas.offline.anchor_graph import AnchorGraph
from avhash_nas.offline.hash_centers import SemanticCenters, hash_centers, semantic_centers
from avhash_nas.offline.k_means import Clustering, k_means
from avhash_nas.offline.lp_box_admm import CenterProblem, improve, lp_box_admm, solve
from avhash_nas.offline.pca import PCA
from avhash_nas.offline.pooled import pooled_features
from avhash_nas.offline.separated_codes import separated_codes, separation_bound

__all__ = [
    "PCA",
    "AnchorGraph",
    "CenterProblem",
    "Clustering",
    "SemanticCenters",
    "hash_centers",
    "improve",
    "k_means",
    "lp_box_admm",
    "pooled_features",
    "semantic_centers",
    "separated_codes",
    "separation_bound",
    "solve",
]
