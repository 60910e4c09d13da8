"""From features to hash centers and pseudo-labels, in one clustering."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avhash_nas.offline.hash_centers import hash_centers
from avhash_nas.offline.k_means import k_means
from avhash_nas.offline.pca import PCA


@dataclass(frozen=True, eq=False)
class SemanticCenters:
    """Hash centers of N clusters and the cluster of each of V videos.

    Args:
        centers: (N, K), +-1.
        assignment: Cluster of each video, (V,): the row of its hash center.
    """

    centers: NDArray[np.float32]
    assignment: NDArray[np.int64]


def semantic_centers(
    pooled: NDArray[np.floating], bits: int, clusters: int, seed: int, *, dims: int = 512
) -> SemanticCenters:
    """Clusters videos and gives each cluster a hash center, as S5VH does before training: PCA, k-means, centers.

    Pseudo-labels and centers come from the same clustering; in the released code they come from two, so that a video's
    label and its center have nothing to do with each other.

    Args:
        pooled: One vector for each video, (V, F).
        bits: K.
        clusters: N; 100 for ActivityNet and 450 for FCVID in the published settings.
        seed: Seed of the clustering and of the codes.
        dims: Principal components kept, at most; there are no more than V or F.

    Raises:
        AvnasError: Too few videos, or no codes so far apart were found.
        MissingExtraError: FAISS is not installed.
    """
    reduced = PCA.fit(pooled, min(dims, *pooled.shape)).apply(pooled)
    clustering = k_means(reduced, clusters, seed)
    return SemanticCenters(hash_centers(clustering.centers, bits, seed), clustering.assignment)
