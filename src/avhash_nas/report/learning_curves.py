"""Learning curves: what a stage logged in each epoch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from avhash_nas.report.style import MUTED, Axes, Picture, drawing, line_styles, new_figure, panel_grid
from avhash_nas.results.runs import Row

SCORE = "map@100_retrieved"
_COLUMNS = 3

Series = Mapping[str, Mapping[int, float]]
"""Values by epoch, by the label of the line."""


class Panel(NamedTuple):
    """One panel.

    Args:
        title: Short title.
        label: Label of the vertical axis, with the unit.
        columns: Columns of epochs.csv by the label of the line.
        zero: Whether to draw a line at 0.
    """

    title: str
    label: str
    columns: Mapping[str, str]
    zero: bool = False


_SCORES = {"supernet": f"val/supernet/{SCORE}", "derived": f"val/derived/{SCORE}", "network": f"val/{SCORE}"}
_LOGGED = ("architecture/", "network/", "objective/")
_F_SCORES = {name: score.replace(SCORE, "segment_type") for name, score in _SCORES.items()}
PANELS = (
    Panel("Loss", "training loss", {"loss": "train/loss"}),
    Panel("Score on val", "mAP@100, retrieved", _SCORES),
    Panel("F-score on val", "Type@AV of segments", _F_SCORES),
    Panel("Discretization gap", "supernet minus derived", {"gap": "gap"}, zero=True),
    Panel("Entropy of the choices", "1 uniform, 0 decided", {"entropy": "architecture/entropy"}),
    Panel("Skips", "cells that are skips", {"skips": "architecture/skips"}),
    Panel("Temperature", "of the softmax", {"temperature": "architecture/temperature"}),
    Panel("Reward", "minus the loss on val", {"reward": "architecture/reward", "baseline": "architecture/baseline"}),
    Panel("Expected latency", "ms for one video", {"latency": "architecture/latency_ms"}),
    Panel(
        "Learning rates",
        "at the epoch's end",
        {"body": "lr", "head": "lr/head", "architecture": "lr/architecture"},
    ),
)
"""Panels in order, each drawn if it was logged. Anything else that a strategy logs gets its own panel after these."""


def draw_learning_curves(
    rows: Sequence[Row],
    name: str,
    title: str,
    *,
    selected: int | None = None,
    phases: Sequence[Mapping[str, float]] = (),
) -> Picture:
    """Draw what was logged in each epoch.

    Args:
        rows: Rows of epochs.csv; at least one.
        name: Name of the picture.
        title: Title of the picture.
        selected: The epoch whose state was selected, marked by a vertical line.
        phases: Reward, baseline and best reward of every epoch, if the strategy reports them: they replace those that
            were logged at validations only.
    """
    panels = [(panel, series) for panel in (*PANELS, *_others(rows)) if (series := _series(panel, rows, phases))]
    columns = min(_COLUMNS, len(panels))
    with drawing():
        figure = new_figure(3.2 * columns, 2.15 * math.ceil(len(panels) / columns) + 0.1)
        for axes, (panel, series) in zip(panel_grid(figure, len(panels), columns), panels, strict=True):
            _draw(axes, panel, series, selected)
    caption = "Epochs from 0; scores and descriptions of the choices exist only for epochs with a validation."
    if selected is not None:
        caption += f" The vertical line marks epoch {selected}, whose state was selected."
    return Picture(name, title, caption, figure, _data(panels, selected))


def _others(rows: Sequence[Row]) -> list[Panel]:
    known = {column for panel in PANELS for column in panel.columns.values()}
    logged = dict.fromkeys(column for row in rows for column in row if column.startswith(_LOGGED))
    names = [(column, column.partition("/")[2]) for column in logged if column not in known]
    return [Panel(name.capitalize(), name, {name: column}) for column, name in names]


def _series(panel: Panel, rows: Sequence[Row], phases: Sequence[Mapping[str, float]]) -> Series:
    if panel.title == "Reward" and phases:
        names = ("reward", "baseline", "best")
        return {name: _by_epoch(phases, name) for name in names if name in phases[0]}
    with_gap = [{**row, "gap": gap} if (gap := _gap(row)) is not None else row for row in rows]
    series = {name: _by_epoch(with_gap, column) for name, column in panel.columns.items()}
    return {name: values for name, values in series.items() if values}


def _gap(row: Row) -> float | None:
    for names in (_SCORES, _F_SCORES):
        supernet, derived = (row.get(names[name]) for name in ("supernet", "derived"))
        if supernet is not None and derived is not None:
            return supernet - derived
    return None


def _by_epoch(rows: Iterable[Mapping[str, float]], column: str) -> dict[int, float]:
    return {int(row["epoch"]): row[column] for row in rows if column in row}


def _draw(axes: Axes, panel: Panel, series: Series, selected: int | None) -> None:
    from matplotlib.ticker import MaxNLocator

    for (name, values), style in zip(series.items(), line_styles(series).values(), strict=True):
        marked = {"markersize": 3 if len(values) <= 40 else 0}
        axes.plot(list(values), list(values.values()), **{**style, **marked}, label=name)
    if panel.zero:
        axes.axhline(0, color=MUTED, lw=0.8)
    if selected is not None:
        axes.axvline(selected, color=MUTED, lw=0.7)
    numbers = [value for values in series.values() for value in values.values()]
    if panel.title == "Learning rates" and min(numbers) > 0 and max(numbers) > 20 * min(numbers):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.set(title=panel.title, xlabel="epoch", ylabel=panel.label)
    if panel.title == "Skips":
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    if len(panel.columns) > 1:
        _legend_above_lines(axes, len(series))


def _legend_above_lines(axes: Axes, columns: int) -> None:
    """A legend of one row, in a strip above the lines."""
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(axes.get_ylim())
    axes.set_ylim(*scale.inverted().transform([low, high + 0.18 * (high - low)]))
    axes.legend(loc="upper center", ncols=columns, handlelength=1.6, handletextpad=0.4, columnspacing=0.8, borderpad=0)


def _data(panels: Sequence[tuple[Panel, Series]], selected: int | None) -> dict[str, Any]:
    drawn = {
        panel.title: {name: {"epoch": list(values), "value": list(values.values())} for name, values in series.items()}
        for panel, series in panels
    }
    return {"panels": drawn, "selected": selected}
