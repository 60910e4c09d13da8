"""Average precision within the first K ranks, in three normalizations, with ties broken or averaged over.

AP@K of a query is the sum of the precision at the ranks of its hits within K, divided by

- `retrieved`: the hits within K (AVHash and AV-NAS: the figures of the paper's tables; torchmetrics likewise),
- `standard`: min(K, relevant items in the database), as in information retrieval,
- `k`: K itself (SSVH, BTH, DKPH, MCMSH, ConMH, S5VH), also where the database holds fewer than K items.

They differ by up to 80 times on the same ranking: one hit at rank 1 and none after it scores 1, 1 / min(K, R)
and 1 / K. A query without a hit within K scores 0 and counts in the mean.

With ties left open, `expected_average_precision` is the mean over all orders of the items within each distance, in
closed form. For the fixed denominators it follows McSherry and Najork, "Computing information retrieval performance
measures efficiently in the presence of tied scores" (ECIR 2008). The denominator `retrieved` is random itself where K
cuts a distance; there the number of hits drawn is hypergeometric, and given that number the drawn hits lie anywhere
with equal chance.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from avhash_nas.metrics.ranking import Floats, Integers, RankedHits, TieGroups, accumulate, ratio

Normalization = Literal["retrieved", "standard", "k"]
NORMALISATIONS: tuple[Normalization, ...] = ("retrieved", "standard", "k")

# H_n = 1 + 1/2 + ... + 1/n up to where the asymptotic series is exact to the last bit.
_HARMONIC = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, 65))])
_LAST = len(_HARMONIC) - 1


def average_precision(hits: RankedHits, k: int | None) -> dict[Normalization, Floats]:
    """Computes AP@K of each query.

    Args:
        hits: Ranks of the hits.
        k: K, at least 1; None takes whole rankings.

    Returns:
        Of each normalization the AP@K, 0..1, shape (queries,).
    """
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
    """Computes the mean AP@K of each query over all orders of the items within each distance.

    Args:
        groups: Items and relevant items at each distance.
        ks: Each K, at least 1; None takes whole rankings.

    Returns:
        For each K and normalization the expected AP@K, 0..1, shape (queries,).
    """
    density = ratio(groups.relevant, groups.items)
    slope = ratio(groups.relevant - 1, groups.items - 1)
    whole = _precision_sum(groups.items_before[:, :-1], groups.relevant_before[:, :-1], groups.items, density, slope)
    earlier = accumulate(whole)  # (queries, q + 2)
    return [_expected_within(groups, k, earlier, density, slope) for k in ks]


def _expected_within(
    groups: TieGroups, k: int | None, earlier: Floats, density: Floats, slope: Floats
) -> dict[Normalization, Floats]:
    """Adds to the sums of the whole groups within K what the group that K cuts gives; arguments as computed above."""
    relevant, ranked = groups.relevant_before[:, -1], groups.items_before[:, -1]
    cutoff = ranked if k is None else np.full(len(ranked), k)
    at, places = groups.cut(k)
    rows = np.arange(len(at))
    sums = earlier[rows, at]
    retrieved = ratio(sums, groups.relevant_before[rows, at])
    rows = np.flatnonzero(places)  # where a group is cut
    cut, places = (rows, at[rows]), places[rows]
    before, hits_before = groups.items_before[cut], groups.relevant_before[cut]
    retrieved[rows] = _cut_group(earlier[cut], before, hits_before, places, groups.items[cut], groups.relevant[cut])
    sums[rows] += _precision_sum(before, hits_before, places, density[cut], slope[cut])
    return {"retrieved": retrieved, "standard": ratio(sums, np.minimum(cutoff, relevant)), "k": ratio(sums, cutoff)}


def _precision_sum(before: Integers, hits_before: Integers, places: Integers, density: Floats, slope: Floats) -> Floats:
    """Expected sum of the precision at the hits among `places` ranks in a row, whose items come in random order.

    With N items and R hits before them, rank N + j holds a hit with chance `density`; given that, (j - 1) * slope hits
    are expected among the j - 1 before it. So the sum is density * sum_j (R + 1 + (j - 1) * slope) / (N + j), j =
    1..places.
    """
    harmonic = _harmonic_difference(before, places)
    sums: Floats = density * (slope * places + (hits_before + 1 - slope * (before + 1)) * harmonic)
    return sums


def _harmonic_difference(start: Integers, places: Integers) -> Floats:
    """Computes 1 / (start + 1) + ... + 1 / (start + places) without the loss of subtracting two large sums."""
    end = start + places
    low: Floats = np.subtract(_HARMONIC[np.minimum(end, _LAST)], _HARMONIC[np.minimum(start, _LAST)])
    start, end = np.maximum(start, _LAST), np.maximum(end, _LAST)
    high: Floats = np.log1p((end - start) / start) + (_harmonic_tail(end) - _harmonic_tail(start))
    return low + high


def _harmonic_tail(n: Integers) -> Floats:
    """Computes H_n - ln n - Euler's constant by its asymptotic series; from n = 64 on the next term is below 2e-17."""
    square = 1.0 / np.square(n.astype(np.float64))
    return 0.5 / n - square * (1 / 12 - square * (1 / 120 - square / 252))


def _cut_group(
    earlier: Floats, before: Integers, hits_before: Integers, places: Integers, items: Integers, relevant: Integers
) -> Floats:
    """Expected AP@K, normalized by the hits within K, where K takes only `places` of the `items` of the last group.

    Args:
        earlier: Expected sum of precisions of the groups before, shape (rows,).
        before: Items before the group, shape (rows,).
        hits_before: Relevant items before the group, shape (rows,).
        places: Ranks of the group within K, shape (rows,).
        items: Items of the group, shape (rows,).
        relevant: Relevant items of the group, shape (rows,).

    Returns:
        Expected AP@K, shape (rows,).
    """
    drawn, chance = _hypergeometric(items, relevant, places)  # (rows, outcomes)
    before, hits_before, places = before[:, None], hits_before[:, None], places[:, None]
    slope = ratio(drawn - 1, places - 1)
    sums = earlier[:, None] + _precision_sum(before, hits_before, places, drawn / places, slope)
    expected: Floats = (chance * ratio(sums, hits_before + drawn)).sum(axis=1)
    return expected


def _hypergeometric(items: Integers, relevant: Integers, places: Integers) -> tuple[Integers, Floats]:
    """Chances of the numbers of relevant items among `places` drawn of `items` without putting back.

    Built from the ratios of neighboring chances, whose logarithms are small, so nothing overflows and no digits are
    lost.

    Returns:
        Numbers of relevant items drawn and their chances, both of shape (rows, outcomes); each row sums to 1.
    """
    fewest = np.maximum(0, places - (items - relevant))
    most = np.minimum(places, relevant)
    steps = np.arange(int((most - fewest).max(initial=0)) + 1)
    drawn = fewest[:, None] + steps
    up = (relevant[:, None] - drawn) * (places[:, None] - drawn)
    down = (drawn + 1) * (items - relevant - places + 1)[:, None] + (drawn + 1) * drawn
    possible = drawn <= most[:, None]
    ratios = np.log(np.where(drawn < most[:, None], up, 1)) - np.log(np.where(possible, down, 1))
    logs = np.zeros(drawn.shape)
    np.cumsum(ratios[:, :-1], axis=1, out=logs[:, 1:])
    logs = np.where(possible, logs, -np.inf)
    chances = np.exp(logs - logs.max(axis=1, keepdims=True, initial=-np.inf))
    return np.minimum(drawn, most[:, None]), chances / chances.sum(axis=1, keepdims=True)
