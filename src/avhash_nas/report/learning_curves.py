"""What was logged in each epoch of a stage."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from avhash_nas.report.run import Row
from avhash_nas.report.style import MUTED, Axes, Picture, drawing, line_styles, new_figure

SCORE = "map@100_retrieved"
_COLUMNS = 3

Series = Mapping[str, Mapping[int, float]]
"""By the name of a line, values by epoch."""


class Panel(NamedTuple):
    """One plot.

    Args:
        title: Short.
        label: Of the vertical axis, with the unit.
        columns: Columns of epochs.csv by the name of the line.
        zero: Whether 0 is drawn.
    """

    title: str
    label: str
    columns: Mapping[str, str]
    zero: bool = False


_SCORES = {"supernet": f"val/supernet/{SCORE}", "derived": f"val/derived/{SCORE}", "network": f"val/{SCORE}"}
PANELS = (
    Panel("Loss", "training loss", {"loss": "train/loss"}),
    Panel("Score on val", "mAP@100, retrieved", _SCORES),
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
"""What is drawn if it was logged, in this order. What else a strategy logs gets a plot of its own behind these."""


def draw_learning_curves(
    rows: Sequence[Row],
    *,
    name: str,
    title: str,
    kept: int | None = None,
    phases: Sequence[Mapping[str, float]] = (),
) -> Picture:
    """Draw what was logged in each epoch.

    Args:
        rows: Of epochs.csv; at least one.
        name: Of the picture.
        title: Of the picture.
        kept: The epoch whose state was kept, marked by a vertical line.
        phases: Reward, baseline and best reward of the epochs, where a strategy reports them for each: in place of
            those that were logged at validations.
    """
    panels = [(panel, series) for panel in (*PANELS, *_others(rows)) if (series := _series(panel, rows, phases))]
    columns = min(_COLUMNS, len(panels))
    count = math.ceil(len(panels) / columns)
    with drawing():
        figure = new_figure(3.2 * columns, 2.15 * count + 0.1)
        grid = list(figure.subplots(count, columns, squeeze=False).flat)
        for axes, (panel, series) in zip(grid, panels):
            _draw(axes, panel, series, kept)
        for axes in grid[len(panels) :]:
            axes.axis("off")
    caption = "Epochs from 0; scores, and what describes the choices, are of the epochs with a validation."
    if kept is not None:
        caption += f" The vertical line is at epoch {kept}, whose state was kept."
    return Picture(name, title, caption, figure, _data(panels, kept))


def _others(rows: Sequence[Row]) -> list[Panel]:
    known = {column for panel in PANELS for column in panel.columns.values()}
    logged = dict.fromkeys(column for row in rows for column in row if column.startswith("architecture/"))
    names = [(column, column.partition("/")[2]) for column in logged if column not in known]
    return [Panel(name.capitalize(), name, {name: column}) for column, name in names]


def _series(panel: Panel, rows: Sequence[Row], phases: Sequence[Mapping[str, float]]) -> Series:
    if panel.title == "Reward" and phases:
        names = ("reward", "baseline", "best")
        return {name: _by_epoch(phases, name) for name in names if name in phases[0]}
    with_gap = [{**row, "gap": gap} if (gap := _gap(row)) is not None else row for row in rows]
    found = {name: _by_epoch(with_gap, column) for name, column in panel.columns.items()}
    return {name: values for name, values in found.items() if values}


def _gap(row: Row) -> float | None:
    scores = [row.get(_SCORES[name]) for name in ("supernet", "derived")]
    return None if scores[0] is None or scores[1] is None else scores[0] - scores[1]


def _by_epoch(rows: Iterable[Mapping[str, float]], column: str) -> dict[int, float]:
    return {int(row["epoch"]): row[column] for row in rows if column in row}


def _draw(axes: Axes, panel: Panel, series: Series, kept: int | None) -> None:
    from matplotlib.ticker import MaxNLocator

    for (name, values), style in zip(series.items(), line_styles(series).values(), strict=True):
        marked = {"markersize": 3 if len(values) <= 40 else 0}
        axes.plot(list(values), list(values.values()), **{**style, **marked}, label=name)
    if panel.zero:
        axes.axhline(0, color=MUTED, lw=0.8)
    if kept is not None:
        axes.axvline(kept, color=MUTED, lw=0.7)
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
    """A legend of one row, in a strip that the lines leave free."""
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(axes.get_ylim())
    axes.set_ylim(*scale.inverted().transform([low, high + 0.18 * (high - low)]))
    axes.legend(loc="upper center", ncols=columns, handlelength=1.6, handletextpad=0.4, columnspacing=0.8, borderpad=0)


def _data(panels: Sequence[tuple[Panel, Series]], kept: int | None) -> dict[str, Any]:
    drawn = {
        panel.title: {name: {"epoch": list(values), "value": list(values.values())} for name, values in series.items()}
        for panel, series in panels
    }
    return {"panels": drawn, "kept": kept}
