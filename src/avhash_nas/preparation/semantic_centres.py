"""From features to hash centres and pseudo-labels, in one clustering."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avhash_nas.preparation.hash_centres import hash_centres
from avhash_nas.preparation.k_means import k_means
from avhash_nas.preparation.pca import PCA


@dataclass(frozen=True, eq=False)
class SemanticCentres:
    """Hash centres of N clusters and the cluster of each of V videos.

    Args:
        centres: (N, K), +-1.
        assignment: Cluster of each video, (V,): the row of its hash centre.
    """

    centres: NDArray[np.float32]
    assignment: NDArray[np.int64]


def semantic_centres(
    pooled: NDArray[np.floating], bits: int, clusters: int, seed: int, *, dims: int = 512
) -> SemanticCentres:
    """Clusters videos and gives each cluster a hash centre, as S5VH does before training: PCA, k-means, centres.

    Pseudo-labels and centres come from the same clustering; in the released code they come from two, so that a video's
    label and its centre have nothing to do with each other.

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
    return SemanticCentres(hash_centres(clustering.centres, bits, seed), clustering.assignment)
