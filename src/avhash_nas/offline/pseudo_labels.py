"""Pseudo labels of segments: which classes a text encoder, or the class means of weakly labeled videos, find there."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def pseudo_labels(
    segments: Vectors,
    classes: Vectors,
    thresholds: Sequence[float] | NDArray[np.float32],
    weak: NDArray[np.bool_] | None = None,
    scale: float = 100.0,
) -> NDArray[np.bool_]:
    """Labels of segments by the cosine similarity to vectors of the classes, as VALOR makes them (Lai et al., 2023).

    With `weak` they are cut to what is known of the video. Labels cut so tell a network part of the truth wherever
    the weak labels are part of what it is asked for.

    Args:
        segments: Vectors of segments, shape (V, T, d).
        classes: Vectors of the classes, shape (C, d), from the same encoder as the segments.
        thresholds: What a logit must exceed, for each class.
        weak: Whether a class occurs in a video, shape (V, C); None leaves the labels uncut.
        scale: What cosines are multiplied by: 100 for CLIP; `thresholds` are in these units.

    Returns:
        Shape (V, T, C).
    """
    labels = logits(segments, classes, scale) > np.asarray(thresholds, np.float32)
    return labels if weak is None else labels & weak[:, None, :]


def logits(segments: Vectors, classes: Vectors, scale: float = 100.0) -> Vectors:
    """Scaled cosine similarities of segments and classes, shape (V, T, C); a vector of zeros is similar to nothing."""
    return (scale * (_unit(segments) @ _unit(classes).T)).astype(np.float32)


def class_means(segments: Vectors, weak: NDArray[np.bool_]) -> tuple[Vectors, Vectors]:
    """Vectors of the classes from weak labels alone, where there is no text encoder.

    The vector of a class is the mean segment of the videos that have it minus the mean of those that have not.

    Args:
        segments: Vectors of segments, shape (V, T, d).
        weak: Whether a class occurs in a video, shape (V, C).

    Returns:
        The classes' vectors, (C, d), of zeros for a class that all or none of the videos have; and the mean of all
        segments, (d,), to be subtracted from segments before they are compared.
    """
    pooled = segments.mean(axis=1, dtype=np.float64)
    center = pooled.mean(axis=0)
    with_it, without = weak.sum(axis=0)[:, None], (~weak).sum(axis=0)[:, None]
    means = weak.T @ pooled / np.maximum(with_it, 1) - (~weak).T @ pooled / np.maximum(without, 1)
    means[((with_it == 0) | (without == 0))[:, 0]] = 0
    return means.astype(np.float32), center.astype(np.float32)


def fit_thresholds(values: Vectors, weak: NDArray[np.bool_]) -> Vectors:
    """For each class the threshold at which "some segment exceeds it" agrees best with the weak labels.

    Agreement is the F-score over videos; of thresholds with the same, the lowest counts.

    Args:
        values: Logits of segments, shape (V, T, C).
        weak: Whether a class occurs in a video, shape (V, C).

    Returns:
        Shape (C,); infinite for a class without a video.
    """
    peaks = values.max(axis=1)
    thresholds = np.full(peaks.shape[1], np.inf, np.float32)
    for label in np.flatnonzero(weak.any(axis=0)):
        order = np.argsort(-peaks[:, label], kind="stable")
        right = weak[order, label].cumsum()
        f_score = 2 * right / (np.arange(1, len(order) + 1) + weak[:, label].sum())
        last = len(order) - 1 - int(f_score[::-1].argmax())  # of the videos that exceed the threshold
        lower = peaks[order[last + 1], label] if last + 1 < len(order) else peaks[order[last], label] - 1
        thresholds[label] = (peaks[order[last], label] + lower) / 2
    return thresholds


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=-1, keepdims=True))
    unit: Vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit
