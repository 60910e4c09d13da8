"""k-means by FAISS."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError, MissingExtraError
from avhash_nas.random_streams import library_seed


@dataclass(frozen=True, eq=False)
class Clustering:
    """Clusters of V points; none is empty.

    Args:
        centers: (clusters, F), float32.
        assignment: The nearest center of each point, (V,).
        inertia: Sum of the squared distances of the points to their centers.
    """

    centers: NDArray[np.float32]
    assignment: NDArray[np.int64]
    inertia: float


def k_means(
    x: NDArray[np.floating],
    clusters: int,
    seed: int,
    iterations: int = 20,
    restarts: int = 5,
    *,
    spherical: bool = False,
) -> Clustering:
    """Clusters points by Lloyd's algorithm and keeps the best of some random starts.

    On one thread (OMP_NUM_THREADS=1) the result depends on the arguments only; several threads may sum in another
    order. FAISS splits a large cluster when another becomes empty, but not after its last iteration: a center without
    points is then moved to the point that is farthest from its own center.

    Args:
        x: Points, (V, F), all finite.
        clusters: Number of clusters, from 1 to V.
        seed: Seed of the starts.
        iterations: Iterations of each start.
        restarts: Number of starts; the one with the smallest inertia is kept.
        spherical: Normalize points and centers to unit length.

    Raises:
        AvnasError: There are fewer points, or fewer distinct points, than clusters; or a point is not finite.
        MissingExtraError: FAISS is not installed.
    """
    if not 1 <= clusters <= len(x):
        raise AvnasError(f"k_means: clusters={clusters} must be from 1 to {len(x)}, the number of points")
    points = np.ascontiguousarray(x, np.float32)
    if not np.isfinite(points).all():
        raise AvnasError("k_means: some points are not finite")
    if spherical:
        points = points / np.linalg.norm(points, axis=1, keepdims=True).clip(np.finfo(np.float32).tiny)
    algorithm = _faiss().Kmeans(
        points.shape[1],
        clusters,
        niter=iterations,
        nredo=restarts,
        spherical=spherical,
        seed=library_seed(seed),
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
    )
    algorithm.train(points)
    centers = algorithm.centroids.reshape(clusters, -1).copy()
    assignment, distances = _assign(points, centers)
    while (sizes := np.bincount(assignment, minlength=clusters)).min() == 0:
        farthest = int(distances.argmax())
        if distances[farthest] == 0:
            raise AvnasError(f"k_means: clusters={clusters}, but only {(sizes > 0).sum()} of the points are distinct")
        centers[sizes.argmin()] = points[farthest]
        assignment, distances = _assign(points, centers)
    return Clustering(centers, assignment, float(distances.sum(dtype=np.float64)))


def _assign(points: NDArray[np.float32], centers: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Finds the nearest center of each point and the squared distance to it."""
    index = _faiss().IndexFlatL2(points.shape[1])
    index.add(centers)
    distances, nearest = index.search(points, 1)
    return nearest[:, 0], distances[:, 0].clip(0)


def _faiss() -> Any:
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise MissingExtraError("faiss", "baselines", "k-means") from error
