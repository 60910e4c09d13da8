"""Average precision at K in three normalizations, with ties broken or averaged over.

AP@K of a query is the sum of the precision at the ranks of its hits within K, divided by

- `retrieved`: the hits within K (AVHash, AV-NAS and the paper's tables; torchmetrics likewise),
- `standard`: min(K, relevant items in the database), as in information retrieval,
- `k`: K (SSVH, BTH, DKPH, MCMSH, ConMH, S5VH), also if the database holds fewer than K items.

They differ by up to 80 times on the same ranking: a single hit at rank 1 scores 1, 1 / min(K, R) and 1 / K. A query
without a hit within K scores 0 and counts in the mean.

`expected_average_precision` is the mean over all orders of tied items (those at the same distance), in closed form. For
the fixed denominators it follows McSherry and Najork, "Computing information retrieval performance
measures efficiently in the presence of tied scores" (ECIR 2008). The denominator `retrieved` is random if the
cutoff splits a group of ties: the number of hits within K is then hypergeometric, and given that number their ranks are
uniformly distributed.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from avhash_nas.metrics.ranking import Floats, Integers, RankedHits, TieGroups, accumulate, ratio

Normalization = Literal["retrieved", "standard", "k"]
NORMALIZATIONS: tuple[Normalization, ...] = ("retrieved", "standard", "k")

# H_n = 1 + 1/2 + ... + 1/n for n <= 64; from there on the asymptotic series is exact to the last bit.
_HARMONIC = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, 65))])
_LAST = len(_HARMONIC) - 1


def average_precision(hits: RankedHits, k: int | None) -> dict[Normalization, Floats]:
    """AP@K of each query by normalization, 0..1, shape (queries,); K None for whole rankings."""
    count = len(hits.relevant)
    cutoff = hits.ranked if k is None else np.full(count, k)
    within = hits.ranks <= cutoff[hits.queries]
    queries = hits.queries[within]
    sums = np.bincount(queries, hits.ordinals[within] / hits.ranks[within], minlength=count)
    return {
        "retrieved": ratio(sums, np.bincount(queries, minlength=count)),
        "standard": ratio(sums, np.minimum(cutoff, hits.relevant)),
        "k": ratio(sums, cutoff),
    }


def expected_average_precision(groups: TieGroups, ks: Sequence[int | None]) -> list[dict[Normalization, Floats]]:
    """For each K, the mean AP@K over all orders of tied items by normalization, 0..1, shape (queries,)."""
    density = ratio(groups.relevant, groups.items)
    slope = ratio(groups.relevant - 1, groups.items - 1)
    whole = _precision_sum(groups.items_before[:, :-1], groups.relevant_before[:, :-1], groups.items, density, slope)
    earlier = accumulate(whole)  # (queries, q + 2)
    return [_expected_within(groups, k, earlier, density, slope) for k in ks]


def _expected_within(
    groups: TieGroups, k: int | None, earlier: Floats, density: Floats, slope: Floats
) -> dict[Normalization, Floats]:
    """Adds the share of the group split by the cutoff to the sums of the groups entirely within K."""
    relevant, ranked = groups.relevant_before[:, -1], groups.items_before[:, -1]
    cutoff = ranked if k is None else np.full(len(ranked), k)
    boundary, slots = groups.boundary(k)
    rows = np.arange(len(boundary))
    sums = earlier[rows, boundary]
    retrieved = ratio(sums, groups.relevant_before[rows, boundary])
    rows = np.flatnonzero(slots)  # rankings with a split group
    split, slots = (rows, boundary[rows]), slots[rows]
    before, hits_before = groups.items_before[split], groups.relevant_before[split]
    retrieved[rows] = _split_group(
        earlier[split], before, hits_before, slots, groups.items[split], groups.relevant[split]
    )
    sums[rows] += _precision_sum(before, hits_before, slots, density[split], slope[split])
    return {"retrieved": retrieved, "standard": ratio(sums, np.minimum(cutoff, relevant)), "k": ratio(sums, cutoff)}


def _precision_sum(before: Integers, hits_before: Integers, slots: Integers, density: Floats, slope: Floats) -> Floats:
    """Expected sum of the precision at the hits among `slots` consecutive ranks whose items are in random order.

    With N items and R hits before them, rank N + j holds a hit with probability `density`; given that, (j - 1) * slope
    hits are expected among the j - 1 ranks before it. So the sum is
    density * sum_j (R + 1 + (j - 1) * slope) / (N + j), j = 1..slots.
    """
    harmonic = _harmonic_difference(before, slots)
    sums: Floats = density * (slope * slots + (hits_before + 1 - slope * (before + 1)) * harmonic)
    return sums


def _harmonic_difference(start: Integers, slots: Integers) -> Floats:
    """Computes 1 / (start + 1) + ... + 1 / (start + slots) without cancellation."""
    end = start + slots
    low: Floats = np.subtract(_HARMONIC[np.minimum(end, _LAST)], _HARMONIC[np.minimum(start, _LAST)])
    start, end = np.maximum(start, _LAST), np.maximum(end, _LAST)
    high: Floats = np.log1p((end - start) / start) + (_harmonic_tail(end) - _harmonic_tail(start))
    return low + high


def _harmonic_tail(n: Integers) -> Floats:
    """H_n - ln n - Euler's constant by its asymptotic series; for n >= 64 the next term is below 2e-17."""
    square = 1.0 / np.square(n.astype(np.float64))
    return 0.5 / n - square * (1 / 12 - square * (1 / 120 - square / 252))


def _split_group(
    earlier: Floats, before: Integers, hits_before: Integers, slots: Integers, items: Integers, relevant: Integers
) -> Floats:
    """Expected AP@K, normalized by the hits within K, if only `slots` items of the last group are within K, (rows,)."""
    drawn, probability = _hypergeometric(items, relevant, slots)  # (rows, outcomes)
    before, hits_before, slots = before[:, None], hits_before[:, None], slots[:, None]
    slope = ratio(drawn - 1, slots - 1)
    sums = earlier[:, None] + _precision_sum(before, hits_before, slots, drawn / slots, slope)
    expected: Floats = (probability * ratio(sums, hits_before + drawn)).sum(axis=1)
    return expected


def _hypergeometric(items: Integers, relevant: Integers, slots: Integers) -> tuple[Integers, Floats]:
    """Distribution of the number of relevant items among `slots` items drawn without replacement.

    Built from the ratios of neighboring probabilities, whose logarithms are small: nothing overflows or cancels.

    Returns:
        Numbers of relevant items and their probabilities, both (rows, outcomes).
    """
    fewest = np.maximum(0, slots - (items - relevant))
    most = np.minimum(slots, relevant)
    steps = np.arange(int((most - fewest).max(initial=0)) + 1)
    drawn = fewest[:, None] + steps
    up = (relevant[:, None] - drawn) * (slots[:, None] - drawn)
    down = (drawn + 1) * (items - relevant - slots + 1)[:, None] + (drawn + 1) * drawn
    possible = drawn <= most[:, None]
    ratios = np.log(np.where(drawn < most[:, None], up, 1)) - np.log(np.where(possible, down, 1))
    logs = np.zeros(drawn.shape)
    np.cumsum(ratios[:, :-1], axis=1, out=logs[:, 1:])
    logs = np.where(possible, logs, -np.inf)
    probabilities = np.exp(logs - logs.max(axis=1, keepdims=True, initial=-np.inf))
    return np.minimum(drawn, most[:, None]), probabilities / probabilities.sum(axis=1, keepdims=True)
