"""Statistics of a test's codes: Hamming distances of pairs, balance and correlation of bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.report.style import BLUE, MUTED, VERMILLION, Picture, drawing, new_figure

_ROWS_AT_ONCE = 256

Floats = NDArray[np.float64]


def draw_codes(query: CodeSet, database: CodeSet, title: str, name: str = "codes") -> Picture:
    """Draw the distances of pairs of videos, the balance of each bit, and the correlation of the bits.

    Args:
        query: Codes of the test split, with labels.
        database: Codes that were searched, with labels.
        title: Title of the run.
        name: Name of the picture.
    """
    same, other = distance_histograms(query, database)
    signs = np.concatenate([signs_of(query), signs_of(database)])
    balance = (signs > 0).mean(0)
    correlation = bit_correlation(signs)
    outside = np.abs(correlation[~np.eye(query.bits, dtype=bool)])
    with drawing():
        figure = new_figure(10.0, 3.4)
        pairs, bits, together = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
        distances = np.arange(query.bits + 1)
        for counts, label, color in ((same, "same class", BLUE), (other, "other classes", VERMILLION)):
            share = counts / max(counts.sum(), 1)
            pairs.fill_between(distances, share, step="mid", color=color, alpha=0.25, linewidth=0)
            pairs.step(distances, share, where="mid", color=color, label=label)
        pairs.set(title="Pairs of query and database", xlabel="Hamming distance (bits)", ylabel="share of pairs")
        pairs.set_ylim(bottom=0)
        pairs.legend()
        bits.bar(np.arange(query.bits), balance, color=BLUE, width=0.85)
        bits.axhline(0.5, color=MUTED, linestyle="--", linewidth=1)
        bits.set(title="Balance", xlabel="bit", ylabel="share of videos with +1", ylim=(0, 1))
        image = together.imshow(correlation, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        together.grid(visible=False)
        together.set(title="Correlation of bits", xlabel="bit", ylabel="bit")
        figure.colorbar(image, ax=together, shrink=0.85, label="correlation")
    data: dict[str, Any] = {
        "same": same.tolist(),
        "other": other.tolist(),
        "balance": balance.tolist(),
        "mean_absolute_correlation": float(outside.mean()) if outside.size else 0.0,
    }
    constant = int(((balance == 0) | (balance == 1)).sum())
    caption = (
        f"Distances between {len(query):,} queries and {len(database):,} database videos. Balance and correlation are "
        "computed over both: a good bit is +1 for half of the videos (dashed) and uncorrelated with the others; the "
        f"mean absolute correlation of two bits is {data['mean_absolute_correlation']:.3f}."
    )
    if constant:
        caption += f" {constant} of {query.bits} bits are the same for all videos and carry no information."
    return Picture(name, f"Codes: {title}", caption, figure, data)


def distance_histograms(query: CodeSet, database: CodeSet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the pairs of a query and another database video at each Hamming distance.

    Args:
        query: Codes with labels.
        database: Codes with labels.

    Returns:
        Counts of pairs that share a class, and of pairs that do not, each of shape (q + 1,).
    """
    assert query.labels is not None
    assert database.labels is not None
    counts = np.zeros((2, query.bits + 1), np.int64)
    left, right = signs_of(query), signs_of(database).T
    ours, theirs = query.labels.astype(np.float32), database.labels.T.astype(np.float32)
    for start in range(0, len(query), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        distances = ((query.bits - left[rows] @ right) / 2).astype(np.int64)
        shared = ours[rows] @ theirs > 0
        for kind, chosen in enumerate((shared, ~shared)):
            counts[kind] += np.bincount(distances[chosen], minlength=query.bits + 1)
    _, own, there = np.intersect1d(query.ids, database.ids, return_indices=True)
    distances = ((query.bits - (left[own] * right.T[there]).sum(axis=1)) / 2).astype(np.int64)
    np.subtract.at(counts, (1 - (query.labels[own] & database.labels[there]).any(axis=1), distances), 1)
    return counts[0], counts[1]


def bit_correlation(signs: NDArray[np.float32]) -> Floats:
    """Pearson correlation of the bits; 0 for constant bits, and 1 on the diagonal.

    Args:
        signs: Codes in {-1, +1}, shape (n, q).

    Returns:
        Shape (q, q).
    """
    centered = signs - signs.mean(0, dtype=np.float64)
    deviation = np.sqrt((centered**2).mean(0))
    scaled = centered / np.where(deviation > 0, deviation, 1)
    correlation: Floats = scaled.T @ scaled / len(signs)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def signs_of(codes: CodeSet) -> NDArray[np.float32]:
    """The bits as -1 or +1, shape (n, q)."""
    bits = np.unpackbits(codes.packed, axis=1, count=codes.bits)
    return bits.astype(np.float32) * 2 - 1
