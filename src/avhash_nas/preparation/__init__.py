"""What self-supervised methods compute from the features before they train: clusters, neighbours, hash centres.

Functions of arrays and a seed, shared by the rival methods; nothing here is trained. S5VH uses `semantic_centres`; BTH,
DKPH and MCMSH use `k_means` and `AnchorGraph` with ``data.Tuples``.
"""

from avhash_nas.preparation.anchor_graph import AnchorGraph
from avhash_nas.preparation.hash_centres import hash_centres
from avhash_nas.preparation.k_means import Clustering, k_means
from avhash_nas.preparation.lp_box_admm import CentreProblem, improve, lp_box_admm, solve
from avhash_nas.preparation.pca import PCA
from avhash_nas.preparation.pooled import pooled_features
from avhash_nas.preparation.semantic_centres import SemanticCentres, semantic_centres
from avhash_nas.preparation.separated_codes import separated_codes, separation_bound

__all__ = [
    "PCA",
    "AnchorGraph",
    "CentreProblem",
    "Clustering",
    "SemanticCentres",
    "hash_centres",
    "improve",
    "k_means",
    "lp_box_admm",
    "pooled_features",
    "semantic_centres",
    "separated_codes",
    "separation_bound",
    "solve",
]
