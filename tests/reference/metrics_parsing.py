"""Parsing measures from their definitions: one video at a time, with sets of (class, segment) and lists of runs."""

from fractions import Fraction
from itertools import groupby
from statistics import mean

Segments = set[tuple[int, int]]  # (class, segment)


def runs(segments: Segments, of_class: int) -> list[set[int]]:
    """The events of a class: its segments in groups of neighbors."""
    steps = sorted(step for kind, step in segments if kind == of_class)
    numbered = groupby(enumerate(steps), key=lambda pair: pair[1] - pair[0])
    return [{step for _, step in group} for _, group in numbered]


def iou(a: set[int], b: set[int]) -> Fraction:
    return Fraction(len(a & b), len(a | b))


def segment_counts(predicted: Segments, true: Segments, of_class: int) -> tuple[int, int, int]:
    mine = {step for kind, step in predicted if kind == of_class}
    theirs = {step for kind, step in true if kind == of_class}
    return len(mine & theirs), len(mine - theirs), len(theirs - mine)


def event_counts(predicted: Segments, true: Segments, of_class: int) -> tuple[int, int, int]:
    mine, theirs = runs(predicted, of_class), runs(true, of_class)
    right = [run for run in mine if any(iou(run, other) >= Fraction(1, 2) for other in theirs)]
    missed = [run for run in theirs if not any(iou(run, other) >= Fraction(1, 2) for other in mine)]
    return len(right), len(mine) - len(right), len(missed)


def f_score(counts_by_class: list[tuple[int, int, int]]) -> Fraction:
    scores = [Fraction(2 * tp, 2 * tp + fp + fn) for tp, fp, fn in counts_by_class if tp + fp + fn]
    return sum(scores, Fraction(0)) / len(scores) if scores else Fraction(1)


def video(
    heard: Segments, seen: Segments, true_heard: Segments, true_seen: Segments, classes: int
) -> dict[str, Fraction]:
    scores = {}
    for level, count in (("segment", segment_counts), ("event", event_counts)):
        audio = [count(heard, true_heard, c) for c in range(classes)]
        visual = [count(seen, true_seen, c) for c in range(classes)]
        both = [count(heard & seen, true_heard & true_seen, c) for c in range(classes)]
        added = [tuple(a + v for a, v in zip(x, y, strict=True)) for x, y in zip(audio, visual, strict=True)]
        for kind, counts in (("audio", audio), ("visual", visual), ("audio_visual", both), ("event", added)):
            scores[f"{level}_{kind}"] = f_score(counts)
    return scores


def dataset(videos: list[tuple[Segments, Segments, Segments, Segments]], classes: int) -> dict[str, Fraction]:
    each = [video(*parts, classes) for parts in videos]
    scores = {name: mean(scores[name] for scores in each) for name in each[0]}
    for level in ("segment", "event"):
        scores[f"{level}_type"] = mean(scores[f"{level}_{kind}"] for kind in ("audio", "visual", "audio_visual"))
    return scores
