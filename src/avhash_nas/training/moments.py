"""Moments of a video: what is heard, seen or both, and when."""

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from avhash_nas.metrics import decode

Sense = Literal["heard", "seen", "both"]


class Moment(NamedTuple):
    """Something that is heard, seen, or both, without a break.

    Attributes:
        label: The class.
        sense: Whether it is `heard` only, `seen` only, or `both`.
        start: In seconds.
        end: In seconds.
        confidence: Mean probability over its time steps, and over both modalities where it is both, in (0, 1).
    """

    label: str
    sense: Sense
    start: float
    end: float
    confidence: float


def moments(
    segments: Tensor, video: Tensor, classes: Sequence[str], seconds: float, threshold: float = 0.5
) -> list[Moment]:
    """The moments of one video, by start and then by class.

    Where a class goes over from being heard to being seen as well, one moment ends and another begins.

    Args:
        segments: Probabilities of time steps, shape (2, T, C), audio first.
        video: Probabilities of the video, shape (C,).
        classes: Names of the C classes.
        seconds: Length of a time step.
        threshold: Of both probabilities.
    """
    on = decode(segments[None], video[None], threshold)[0].cpu().numpy()
    values = segments.detach().float().cpu().numpy()
    states = on[0].astype(np.int64) + 2 * on[1]  # (T, C): 1 heard, 2 seen, 3 both
    found = []
    for label, name in enumerate(classes):
        edges = np.flatnonzero(np.diff(states[:, label], prepend=0, append=0))
        for start, end in itertools.pairwise(edges.tolist()):
            state = int(states[start, label])
            if state:
                sense: Sense = ("heard", "seen", "both")[state - 1]
                part = values[:, start:end, label]
                confidence = part[{"heard": slice(0, 1), "seen": slice(1, 2), "both": slice(0, 2)}[sense]].mean()
                found.append(
                    Moment(name, sense, float(start * seconds), float(end * seconds), round(float(confidence), 6))
                )
    order = {name: number for number, name in enumerate(classes)}
    return sorted(found, key=lambda moment: (moment.start, order[moment.label]))


def timeline(found: Sequence[Moment], steps: int, seconds: float) -> dict[str, str]:
    """Moments as one line of characters for each class that occurs: `♪` heard, `○` seen, `●` both, `·` neither.

    Args:
        found: Moments of one video.
        steps: T.
        seconds: Length of a time step.

    >>> timeline([Moment("Dog", "both", 1.0, 3.0, 0.9)], 5, 1.0)
    {'Dog': '·●●··'}
    """
    marks = {"heard": "♪", "seen": "○", "both": "●"}
    lines: dict[str, list[str]] = {}
    for moment in found:
        line = lines.setdefault(moment.label, ["·"] * steps)
        start, end = round(moment.start / seconds), round(moment.end / seconds)
        line[start:end] = marks[moment.sense] * (end - start)
    return {label: "".join(line) for label, line in lines.items()}
