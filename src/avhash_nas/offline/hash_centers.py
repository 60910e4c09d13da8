"""Hash centers: one code for each cluster, all well apart and near where their clusters are near (S5VH)."""

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from avhash_nas.errors import AvnasError
from avhash_nas.offline.lp_box_admm import CentreProblem, solve
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
    """Codes for the centers of clusters: apart by a bound, and the nearer in bits the nearer the centers.

    S5VH (Wang et al., AAAI 2025), "hash center generation". From codes that are far enough apart, one code after the
    other is replaced by a better one while the rest stays (`solve`): its inner products with the others should be large
    and small in the order of the cosines of the clusters' centers. A new code that came too near another one would not
    be taken, so all distances keep the bound throughout.

    Where the released code differs: it starts from codes that may break the bound and does not check the result; it
    keeps the round with the largest sum of Hamming distances (its score adds differences of cosines with their sign, of
    which only that sum is left), which says nothing of the order. Here the round is kept whose codes have the least
    sum of what `solve` minimizes.

    Args:
        semantic: The centers of the clusters, (N, F), none of them zero; only their directions count.
        bits: K.
        seed: Seed of the codes to start from; it decides nothing where none has to be drawn (`separated_codes`).
        separation: Smallest Hamming distance of two codes; by default `separation_bound`.
        sweeps: Most rounds over all codes.
        patience: Rounds in a row that bring nothing, after which it stops.

    Returns:
        (N, K), +-1.

    Raises:
        AvnasError: The centers cannot be used, or codes so far apart are not found.
    """
    norms = np.linalg.norm(semantic.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise AvnasError("hash_centers: some centers of clusters are zero or not finite, so they have no direction")
    directions = semantic / norms
    separation = separation_bound(bits, len(semantic)) if separation is None else separation
    codes = separated_codes(bits, len(semantic), separation, np.random.default_rng(seed))
    wanted = _wanted_products(directions @ directions.T, bits)
    best, least, idle = codes, np.inf, 0
    console = Console(stderr=True)
    for _ in track(range(sweeps), "Hash centers", console=console, transient=True, disable=not console.is_terminal):
        codes, objective = _sweep(codes, wanted, separation)
        best, least, idle = (codes, objective, 0) if objective < least else (best, least, idle + 1)
        if idle == patience:
            break
    return best.astype(np.float32)


def _wanted_products(cosines: Codes, bits: int) -> list[Codes]:
    """For each code its wanted inner products with the others: the cosines stretched to [-K, K]; 0 if all are equal."""
    wanted = []
    for row, cosine in enumerate(cosines):
        others = np.delete(cosine, row)
        spread = np.ptp(others)
        wanted.append(((others - others.min()) / spread * 2 - 1) * bits if spread > 0 else np.zeros_like(others))
    return wanted


def _sweep(codes: Codes, wanted: list[Codes], separation: int) -> tuple[Codes, float]:
    """Renews every code in turn; also returns the sum of the objectives of all codes after that."""
    codes = codes.copy()
    for row in range(len(codes)):
        codes[row] = solve(_problem(codes, row, wanted, separation), codes[row])
    return codes, sum(_problem(codes, row, wanted, separation).objective(codes[row]) for row in range(len(codes)))


def _problem(codes: Codes, row: int, wanted: list[Codes], separation: int) -> CentreProblem:
    return CentreProblem(np.delete(codes, row, 0), wanted[row], separation)
