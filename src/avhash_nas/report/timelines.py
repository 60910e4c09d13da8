"""What is heard and seen in test videos, and when: the truth above the prediction."""

import numpy as np
import torch
from numpy.typing import NDArray

from avhash_nas.metrics import video_scores
from avhash_nas.report.style import BLUE, GRID, INK, VERMILLION, Axes, Picture, drawing, new_figure
from avhash_nas.training.predictions import Predictions

_SHOWN = 8
"""Number of videos."""
_ROWS = (("heard", 0), ("seen", 1))


def draw_timelines(predictions: Predictions, title: str, name: str = "timelines") -> Picture:
    """Draw videos from the best to the worst by their F-score, in equal steps.

    Args:
        predictions: Of a test.
        title: Title of the run.
        name: Name of the picture.
    """
    chosen, scores = _chosen(predictions)
    with drawing():
        figure = new_figure(10.0, 0.6 + 1.25 * len(chosen))
        panels = np.atleast_1d(figure.subplots(len(chosen), 1))
        for panel, video in zip(panels, chosen, strict=True):
            _draw(panel, predictions, video, scores[video])
        panels[-1].set_xlabel("seconds")
        figure.tight_layout()
    caption = (
        "Test videos from the best to the worst by the segments' F-score, in equal steps. For each class that occurs "
        "or is predicted: what is heard (h) and what is seen (s). Blue is the truth, orange below it the prediction."
    )
    data = {str(predictions.ids[video]): {"score": scores[video], **_runs_of(predictions, video)} for video in chosen}
    return Picture(name, f"Timelines: {title}", caption, figure, data)


def _chosen(predictions: Predictions) -> tuple[list[int], dict[int, float]]:
    """Rows of the videos to show, and the score of each: the mean of audio and visual at the level of segments."""
    scores = video_scores(torch.from_numpy(predictions.predicted), torch.from_numpy(predictions.truth))
    values = scores[:, 0, :2].mean(dim=1).numpy()
    order = np.argsort(-values, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int)].tolist()
    return chosen, {video: round(float(values[video]), 4) for video in chosen}


def _draw(panel: Axes, predictions: Predictions, video: int, score: float) -> None:
    truth, predicted = predictions.truth[video], predictions.predicted[video]
    classes = np.flatnonzero((truth | predicted).any(axis=(0, 1))).tolist()
    ticks, labels = [], []
    for position, label in enumerate(classes):
        for sense, modality in _ROWS:
            y = 2.4 * position + modality
            ticks.append(y)
            labels.append(f"{predictions.class_names[label]} ({sense[0]})")
            for on, color, offset in ((truth, BLUE, -0.22), (predicted, VERMILLION, 0.22)):
                spans = [
                    (start * predictions.seconds, (end - start) * predictions.seconds)
                    for start, end in _runs(on[modality, :, label])
                ]
                panel.broken_barh(spans, (y + offset - 0.2, 0.4), facecolors=color)
    steps = truth.shape[1]
    panel.set(xlim=(0, steps * predictions.seconds), yticks=ticks, yticklabels=labels)
    panel.set_title(f"{predictions.ids[video]}, F = {score:.2f}", loc="left", fontsize=8, color=INK)
    panel.tick_params(axis="y", labelsize=6.5, length=0)
    panel.grid(visible=True, axis="x", color=GRID)
    panel.grid(visible=False, axis="y")
    panel.invert_yaxis()


def _runs(on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(on.astype(np.int8), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _runs_of(predictions: Predictions, video: int) -> dict[str, list[list[object]]]:
    """The numbers drawn: class, sense, first step and step after the last."""
    drawn: dict[str, list[list[object]]] = {}
    for kind in ("truth", "predicted"):
        table = getattr(predictions, kind)[video]
        drawn[kind] = [
            [predictions.class_names[label], sense, start, end]
            for label in range(table.shape[2])
            for sense, modality in _ROWS
            for start, end in _runs(table[modality, :, label])
        ]
    return drawn
