"""Baselines without learning: random projections of the features, and a random ranking."""

from collections.abc import Sequence

import torch
from torch import Tensor

from avhash_nas.codes import binarize
from avhash_nas.errors import AvnasError
from avhash_nas.metrics.evaluation import evaluate
from avhash_nas.metrics.scores import RetrievalScores


def random_projection_codes(features: Tensor, bits: int, seed: int = 0, reference: Tensor | None = None) -> Tensor:
    """Hashes features by the signs of random projections (Charikar 2002, "Similarity estimation techniques").

    Features are standardized, so that units do not matter; the angle between two videos then determines the expected
    number of equal bits. Queries and database must share `seed` and `reference`.

    Args:
        features: One vector per video, such as its mean over time, shape (n, d).
        bits: Code length q, at least 1.
        seed: Seed of the Gaussian projection.
        reference: Features that determine mean and standard deviation, shape (m, d); by default `features`.

    Returns:
        Codes in {-1, +1}, int8, shape (n, q).

    Raises:
        AvnasError: Shapes do not match, or bits is below 1.

    Example:
        >>> random_projection_codes(torch.tensor([[1.0, 5.0], [2.0, 5.0]]), bits=3).sum(dim=0)
        tensor([0, 0, 0])
    """
    reference = features if reference is None else reference
    if features.ndim != 2 or reference.ndim != 2 or features.shape[1] != reference.shape[1] or len(reference) == 0:
        raise AvnasError(
            f"features: expected shapes (n, d) and (m, d), got {tuple(features.shape)} and {tuple(reference.shape)}"
        )
    if bits < 1:
        raise AvnasError(f"bits: expected at least 1, got {bits}")
    deviation, mean = torch.std_mean(reference.double(), dim=0, correction=0)
    standard = (features.double() - mean) / torch.where(deviation > 0, deviation, 1)
    generator = torch.Generator().manual_seed(seed)
    projection = torch.randn(features.shape[1], bits, generator=generator, dtype=torch.float64)
    return binarize(standard @ projection.to(standard.device))


def chance_scores(
    query_labels: Tensor,
    database_labels: Tensor,
    ks: Sequence[int | None] = (5, 20, 100),
    *,
    query_ids: Tensor | None = None,
    database_ids: Tensor | None = None,
    exclude_self: bool = False,
) -> RetrievalScores:
    """Exact scores of a random ranking: the mean over all orders of the database.

    Args:
        query_labels: Whether query i has class c, bool, shape (Q, C).
        database_labels: Whether item j has class c, bool, shape (N, C).
        ks: As for `evaluate`.
        query_ids: As for `evaluate`.
        database_ids: As for `evaluate`.
        exclude_self: As for `evaluate`.

    Returns:
        Scores and curves of codes that are all equal.

    Raises:
        AvnasError: As `evaluate`.

    Example:
        >>> labels = torch.tensor([[True, False], [False, True]])
        >>> chance_scores(labels, labels, ks=(None,)).precision
        {None: 0.5}
    """
    equal = [torch.zeros(len(labels), 1, dtype=torch.uint8) for labels in (query_labels, database_labels)]
    return evaluate(
        *(equal[0], query_labels, equal[1], database_labels),
        ks=ks,
        ties="expected",
        query_ids=query_ids,
        database_ids=database_ids,
        exclude_self=exclude_self,
        bits=1,
    )
