"""Probabilities of the candidates during a search: one small panel for each cell."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from avhash_nas.report.style import FAMILIES, MUTED, Axes, Picture, drawing, family_of, new_figure, short
from avhash_nas.space import Architecture
from avhash_nas.space.cell import reading_order
from avhash_nas.training.search_log import Probabilities

_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))
_LEGEND_COLUMNS = 6
_COLUMNS = 9
"""Maximum number of panels in a row: as many as an encoder has cells."""


def draw_probabilities(
    probabilities: Mapping[int, Probabilities],
    chosen: Architecture | None,
    name: str = "probabilities",
    title: str = "Probability of each candidate",
    *,
    step: str = "epoch",
    quantity: str = "probability",
    selected: int | None = None,
) -> Picture:
    """Draw the probability of each candidate, cell by cell.

    Each row holds the cells of one encoder; the last row holds the cells after the encoders.

    Args:
        probabilities: Probabilities by epoch or another step, at least one. A cell has the same candidates in all
            steps that contain it.
        chosen: The architecture that was chosen in the end; its lines are thick.
        name: Name of the picture.
        title: Title of the picture.
        step: Name of a step.
        quantity: Name of the quantity drawn.
        selected: The step whose state was selected, marked by a vertical line.
    """
    cells = {cell: names for step_cells in probabilities.values() for cell, names in step_cells.items()}
    rows = _rows(sorted(cells, key=reading_order))
    columns = min(_COLUMNS, max(4, *(len(row) for row in rows)))
    candidates = _by_family(dict.fromkeys(name for names in cells.values() for name in names))
    with drawing():
        below = 0.1 + 0.19 * math.ceil(len(candidates) / _LEGEND_COLUMNS)
        figure = new_figure(1.08 * columns, 1.55 * len(rows) + below)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes, row in zip(grid, rows, strict=True):
            for panel, cell in zip(axes, row):
                _panel(panel, cell, probabilities, chosen, selected)
            for panel in axes[1 : len(row)]:
                panel.tick_params(labelleft=False)
            for panel in axes[len(row) :]:
                panel.axis("off")
            axes[0].set_ylabel(f"{row[0].rpartition('.')[0]}\n{quantity}".strip(), size=8)
        for panel in grid[-1][: len(rows[-1])]:
            panel.set_xlabel(step, size=7.5, labelpad=1)
        figure.legend(handles=_handles(candidates), loc="outside lower center", ncols=_LEGEND_COLUMNS, handlelength=2.2)
    thick = " The line of the chosen candidate is thick." if chosen is not None else ""
    line = f" The vertical line marks the {step} whose state was selected." if selected is not None else ""
    lines = {cell: _series(probabilities, cell) for cell in sorted(cells, key=reading_order)}
    data = {step: {cell: _steps(probabilities, cell) for cell in lines}, "cells": lines, "selected": selected}
    caption = f"One panel for each cell with several candidates; {step}s from 0.{thick}{line}"
    return Picture(name, title, caption, figure, data)


def _rows(cells: Sequence[str]) -> list[list[str]]:
    """Cells by encoder, split into full rows."""
    groups: dict[str, list[str]] = {}
    for cell in cells:
        groups.setdefault(cell.rpartition(".")[0], []).append(cell)
    return [group[start : start + _COLUMNS] for group in groups.values() for start in range(0, len(group), _COLUMNS)]


def _steps(probabilities: Mapping[int, Probabilities], cell: str) -> list[int]:
    return [step for step, cells in probabilities.items() if cell in cells]


def _series(probabilities: Mapping[int, Probabilities], cell: str) -> dict[str, list[float]]:
    known = [cells[cell] for cells in probabilities.values() if cell in cells]
    return {name: [each[name] for each in known] for name in known[0]}


def _panel(
    axes: Axes,
    cell: str,
    probabilities: Mapping[int, Probabilities],
    chosen: Architecture | None,
    selected: int | None,
) -> None:
    steps = _steps(probabilities, cell)
    candidate = None if chosen is None else chosen.get(cell)
    for name, values in _series(probabilities, cell).items():
        bold = name == candidate
        axes.plot(steps, values, **_look(name), lw=2.4 if bold else 1.1, zorder=3 if bold else 2)
        if len(steps) == 1:
            axes.plot(steps, values, ".", color=_look(name)["color"])
    if selected is not None:
        axes.axvline(selected, color=MUTED, lw=0.7)
    axes.set_title(cell.rpartition(".")[2] + ("" if candidate is None else f"\n{short(candidate, 16)}"), size=7, pad=3)
    ends = sorted({steps[0], steps[-1]})
    axes.set(ylim=(-0.03, 1.03), yticks=(0, 0.5, 1), xticks=ends)
    if ends[0] != ends[-1]:
        margin = 0.04 * (ends[-1] - ends[0])
        axes.set_xlim(ends[0] - margin, ends[-1] + margin)
    axes.tick_params(labelsize=7, length=2, pad=1.5)


def _by_family(candidates: Mapping[str, None]) -> list[str]:
    return sorted(candidates, key=lambda name: FAMILIES.index(family_of(name)))


def _look(candidate: str) -> dict[str, Any]:
    """The family's color, and a dash for each member."""
    family = family_of(candidate)
    index = family.members.index(candidate) if candidate in family.members else sum(map(ord, candidate))
    return {"color": family.color, "linestyle": _DASHES[index % len(_DASHES)]}


def _handles(candidates: Sequence[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], **_look(name), lw=1.6, label=short(name)) for name in candidates]
