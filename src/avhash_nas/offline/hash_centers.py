"""Hash centers of S5VH: one code for each cluster, far apart, and nearer for nearer clusters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from avhash_nas.errors import AvnasError
from avhash_nas.offline.k_means import k_means
from avhash_nas.offline.lp_box_admm import CenterProblem, solve
from avhash_nas.offline.pca import PCA
from avhash_nas.offline.separated_codes import Codes, separated_codes, separation_bound


def hash_centers(
    semantic: NDArray[np.floating],
    bits: int,
    seed: int,
    *,
    separation: int | None = None,
    sweeps: int = 20,
    patience: int = 5,
) -> NDArray[np.float32]:
    """Computes codes of the clusters' centers that keep a smallest distance, and are nearer for nearer centers.

    From S5VH (Wang et al., AAAI 2025), "hash center generation". It starts from codes that are far enough apart and
    replaces one code after the other by a better one while the rest stays (`solve`): the inner products with the other
    codes should have the order of the cosines of the clusters' centers. A code too near to another one is rejected, so
    that all codes keep the smallest distance throughout.

    The released code starts from codes that may break the bound and does not check the result. It keeps the round with
    the largest sum of Hamming distances (its score adds signed differences of cosines, which leaves only that sum),
    which is unrelated to the order. Here the round with the least sum of the objectives of `solve` is kept.

    Args:
        semantic: Centers of the clusters, (N, F), none of them zero; only their directions matter.
        bits: K.
        seed: Seed of the initial codes, as far as any are drawn (`separated_codes`).
        separation: Smallest Hamming distance of two codes; by default `separation_bound`.
        sweeps: Largest number of rounds over all codes.
        patience: Number of rounds without improvement after which it stops.

    Returns:
        (N, K), +-1.

    Raises:
        AvnasError: A center is zero or not finite, or not enough separated codes were found.
    """
    norms = np.linalg.norm(semantic.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise AvnasError("hash_centers: some centers of clusters are zero or not finite, so they have no direction")
    directions = semantic / norms
    separation = separation_bound(bits, len(semantic)) if separation is None else separation
    codes = separated_codes(bits, len(semantic), separation, np.random.default_rng(seed))
    targets = _target_products(directions @ directions.T, bits)
    best, least, idle = codes, np.inf, 0
    console = Console(stderr=True)
    for _ in track(range(sweeps), "Hash centers", console=console, transient=True, disable=not console.is_terminal):
        codes, objective = _sweep(codes, targets, separation)
        best, least, idle = (codes, objective, 0) if objective < least else (best, least, idle + 1)
        if idle == patience:
            break
    return best.astype(np.float32)


def _target_products(cosines: Codes, bits: int) -> list[Codes]:
    """For each code its target inner products with the others: the cosines stretched to [-K, K]; 0 if all are equal."""
    targets = []
    for row, cosine in enumerate(cosines):
        others = np.delete(cosine, row)
        spread = np.ptp(others)
        targets.append(((others - others.min()) / spread * 2 - 1) * bits if spread > 0 else np.zeros_like(others))
    return targets


def _sweep(codes: Codes, targets: list[Codes], separation: int) -> tuple[Codes, float]:
    """Replaces every code in turn; also returns the sum of the resulting objectives of all codes."""
    codes = codes.copy()
    for row in range(len(codes)):
        codes[row] = solve(_problem(codes, row, targets, separation), codes[row])
    return codes, sum(_problem(codes, row, targets, separation).objective(codes[row]) for row in range(len(codes)))


def _problem(codes: Codes, row: int, targets: list[Codes], separation: int) -> CenterProblem:
    return CenterProblem(np.delete(codes, row, 0), targets[row], separation)


@dataclass(frozen=True, eq=False)
class SemanticCenters:
    """Hash centers of N clusters and the cluster of each of V videos.

    Args:
        centers: (N, K), +-1.
        assignment: Cluster of each video and row of its hash center, (V,).
    """

    centers: NDArray[np.float32]
    assignment: NDArray[np.int64]


def semantic_centers(
    pooled: NDArray[np.floating], bits: int, clusters: int, seed: int, *, dims: int = 512
) -> SemanticCenters:
    """Clusters videos and computes a hash center for each cluster, as S5VH does before training.

    The steps are PCA, k-means and `hash_centers`. Pseudo-labels and centers come from the same clustering; in the
    released code they come from two, so that a video's label and its center are unrelated.

    Args:
        pooled: One vector for each video, (V, F).
        bits: K.
        clusters: N; 100 for ActivityNet and 450 for FCVID in the published settings.
        seed: Seed of the clustering and of the codes.
        dims: Largest number of principal components; never more than V or F.

    Raises:
        AvnasError: There are too few videos, or not enough separated codes were found.
        MissingExtraError: FAISS is not installed.
    """
    reduced = PCA.fit(pooled, min(dims, *pooled.shape)).apply(pooled)
    clustering = k_means(reduced, clusters, seed)
    return SemanticCenters(hash_centers(clustering.centers, bits, seed), clustering.assignment)
