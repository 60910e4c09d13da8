"""F-scores of audio-visual video parsing, at the level of segments and of events.

The measures of Tian et al. (ECCV 2020), as their script computes them. Some of its choices surprise:

- Everything is computed for each video and then averaged over videos; within a video, over the classes that are
  predicted or true there. A video with neither scores 1, so a network that predicts nothing earns a point for each
  video without events of that kind.
- `type` is the mean of the three dataset figures for audio, visual and audio-visual events.
- `event` adds the counts of audio and visual events (not those of audio-visual ones) for each class. It is called
  Event@AV in the tables.
- An event is a maximal run of segments of one class, in the truth too: events that touch or overlap there become one. A
  predicted event is right if its intersection over union with some true event is at least 0.5. Nothing is matched one
  to one, and nothing has to be: disjoint runs cannot both reach 0.5 with the same run.
- The video-level prediction gates the segments (`decode`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from avhash_nas.errors import AvnasError

Level = Literal["segment", "event"]
Kind = Literal["audio", "visual", "audio_visual", "type", "event"]
LEVELS: tuple[Level, ...] = ("segment", "event")
KINDS: tuple[Kind, ...] = ("audio", "visual", "audio_visual", "type", "event")
MODALITIES = ("audio", "visual")
"""The order of the modalities wherever a tensor has an axis of two."""
_COUNTED: tuple[Kind, ...] = ("audio", "visual", "audio_visual", "event")


@dataclass(frozen=True)
class ParsingScores:
    """Means over videos, 0..1, higher is better.

    Attributes:
        means: By level (`segment`, `event`) and kind (`audio`, `visual`, `audio_visual`, `type`, `event`).
        deviations: Standard deviations over videos, for all kinds but `type`.
        videos: Number of videos.
    """

    means: Mapping[Level, Mapping[Kind, float]]
    deviations: Mapping[Level, Mapping[Kind, float]]
    videos: int

    def to_dict(self) -> dict[str, dict[str, float] | int]:
        """Means for JSON: {"segment": {"audio": 0.6, ...}, "event": {...}, "videos": 1200}."""
        means: dict[str, dict[str, float]] = {
            level: {str(kind): mean for kind, mean in self.means[level].items()} for level in LEVELS
        }
        return {**means, "videos": self.videos}


def decode(segments: Tensor, video: Tensor, threshold: float = 0.5) -> Tensor:
    """What a network predicts: a segment has a class if both its own and the video's probability reach the threshold.

    Args:
        segments: Probabilities of segments, shape (B, 2, T, C), audio first.
        video: Probabilities of videos, shape (B, C).
        threshold: For both.

    Returns:
        Bool, shape (B, 2, T, C).
    """
    return (segments >= threshold) & (video >= threshold)[:, None, None, :]


def parsing_scores(predicted: Tensor, true: Tensor) -> ParsingScores:
    """All F-scores of a set of videos.

    Args:
        predicted: Whether class c is predicted in segment t, bool, shape (V, 2, T, C), audio first.
        true: The truth, likewise.

    Raises:
        AvnasError: Shapes or types are not as stated, or there is no video.
    """
    return summarize(video_scores(predicted, true))


def video_scores(predicted: Tensor, true: Tensor) -> Tensor:
    """F-scores of each video, of which the dataset's scores are the means.

    Args:
        predicted: Whether class c is predicted in segment t, bool, shape (V, 2, T, C), audio first.
        true: The truth, likewise.

    Returns:
        float64, shape (V, 2, 4): by level (segment, event) and kind (audio, visual, audio-visual, event).

    Raises:
        AvnasError: Shapes or types are not as stated.
    """
    for name, value in (("predicted", predicted), ("true", true)):
        if value.dtype != torch.bool or value.ndim != 4 or value.shape[1] != 2 or value.shape != predicted.shape:
            raise AvnasError(
                f"{name}: expected bool of shape (V, 2, T, C), the same for both, got {value.dtype} of shape "
                f"{tuple(value.shape)}"
            )
    sides = [torch.cat([side, side.all(dim=1, keepdim=True)], dim=1) for side in (predicted, true)]  # + audio-visual
    levels = [_f_scores(count(*sides)) for count in (_segment_counts, _event_counts)]
    return torch.stack(levels, dim=1)


def summarize(scores: Tensor) -> ParsingScores:
    """The dataset's scores from those of its videos.

    Args:
        scores: As `video_scores` gives them, shape (V, 2, 4).

    Raises:
        AvnasError: There is no video.
    """
    if not len(scores):
        raise AvnasError("parsing scores: there is no video")
    means, deviations = {}, {}
    for number, level in enumerate(LEVELS):
        values = scores[:, number].double()
        mean = dict(zip(_COUNTED, values.mean(dim=0).tolist(), strict=True))
        mean["type"] = sum(mean[kind] for kind in KINDS[:3]) / 3
        means[level] = {kind: mean[kind] for kind in KINDS}
        deviations[level] = dict(zip(_COUNTED, values.std(dim=0, correction=0).tolist(), strict=True))
    return ParsingScores(means, deviations, len(scores))


def constant_predictions(weak: Tensor, steps: int) -> dict[str, Tensor]:
    """Predictions that look at no video, as yardsticks: three of them know the weak labels.

    Args:
        weak: Whether class c occurs somewhere in video v, bool, shape (V, C).
        steps: T.

    Returns:
        By name, bool, shape (V, 2, T, C): `nothing`; `weak_everywhere`, every weak label in all segments of both
        modalities; `weak_heard`, the same of audio alone.
    """
    everywhere = weak[:, None, None, :].expand(-1, 2, steps, -1)
    audio_only = torch.tensor([True, False], device=weak.device)[None, :, None, None]
    return {
        "nothing": torch.zeros_like(everywhere),
        "weak_everywhere": everywhere.clone(),
        "weak_heard": everywhere & audio_only,
    }


def _f_scores(counts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """F-scores (V, 4) from true positives, false positives and false negatives (V, 3, C) of the three kinds."""
    joined = [torch.cat([count, count[:, :2].sum(dim=1, keepdim=True)], dim=1).double() for count in counts]
    true_positive, false_positive, false_negative = joined
    total = 2 * true_positive + false_positive + false_negative
    present = total > 0
    f = torch.where(present, 2 * true_positive / total.clamp(min=1), 0)
    classes = present.sum(dim=-1)
    return torch.where(classes > 0, f.sum(dim=-1) / classes.clamp(min=1), 1)


def _segment_counts(predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(x.sum(dim=2) for x in (predicted & true, predicted & ~true, ~predicted & true))  # type: ignore[return-value]


def _event_counts(predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Counts of events, (V, 3, C) each. Only sequences in which something occurs are looked at."""
    rows, columns = (x.transpose(2, 3) for x in (predicted, true))  # (V, 3, C, T)
    some = rows.any(dim=-1) | columns.any(dim=-1)
    mine, theirs = _runs(rows[some]), _runs(columns[some])  # (N, T, runs)
    shared = torch.einsum("ntr,nts->nrs", mine, theirs)
    union = mine.sum(dim=1)[:, :, None] + theirs.sum(dim=1)[:, None, :] - shared
    reaches = (2 * shared >= union) & (shared > 0)
    found = reaches.any(dim=2).sum(dim=1)
    counts = (
        found,
        mine.any(dim=1).sum(dim=1) - found,
        theirs.any(dim=1).sum(dim=1) - reaches.any(dim=1).sum(dim=1),
    )
    return tuple(torch.zeros_like(some, dtype=torch.int64).masked_scatter(some, count) for count in counts)  # type: ignore[return-value]


def _runs(active: Tensor) -> Tensor:
    """The maximal runs of each sequence (N, T) as indicators, float64, (N, T, ceil(T / 2))."""
    before = torch.nn.functional.pad(active, (1, 0))[:, :-1]
    number = (active & ~before).cumsum(dim=1)  # of the run that a step belongs to, from 1
    runs = torch.arange(1, (active.shape[1] + 1) // 2 + 1, device=active.device)
    return ((number[:, :, None] == runs) & active[:, :, None]).double()
