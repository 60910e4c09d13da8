"""Offline work before training: clusters, neighbors, hash centers, pseudo labels.

Pure functions of arrays and a seed. S5VH uses `semantic_centers`; BTH, DKPH and MCMSH use `k_means` and `AnchorGraph`
with `data.Tuples`.
"""

from avhash_nas.offline.anchor_graph import AnchorGraph
from avhash_nas.offline.class_vectors import ClassVectors, class_vectors
from avhash_nas.offline.hash_centers import SemanticCenters, hash_centers, semantic_centers
from avhash_nas.offline.k_means import Clustering, k_means
from avhash_nas.offline.lp_box_admm import CenterProblem, improve, lp_box_admm, solve
from avhash_nas.offline.pca import PCA
from avhash_nas.offline.pooled import pooled_features
from avhash_nas.offline.pseudo_labels import class_means, fit_thresholds, logits, pseudo_labels
from avhash_nas.offline.separated_codes import separated_codes, separation_bound

__all__ = [
    "PCA",
    "AnchorGraph",
    "CenterProblem",
    "ClassVectors",
    "Clustering",
    "SemanticCenters",
    "class_means",
    "class_vectors",
    "fit_thresholds",
    "hash_centers",
    "improve",
    "k_means",
    "logits",
    "lp_box_admm",
    "pooled_features",
    "pseudo_labels",
    "semantic_centers",
    "separated_codes",
    "separation_bound",
    "solve",
]
