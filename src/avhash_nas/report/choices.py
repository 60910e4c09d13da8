"""Probabilities of candidates over a search: a small plot for every cell."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from avhash_nas.report.style import FAMILIES, MUTED, Axes, Picture, drawing, family_of, new_figure, short
from avhash_nas.space import Architecture
from avhash_nas.space.cell import reading_order
from avhash_nas.training.search_log import Probabilities

_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))
_ABREAST = 6
"""Names in a row of the legend."""
_COLUMNS = 9
"""At most: as many as an encoder has cells."""


def draw_choices(
    found: Mapping[int, Probabilities],
    chosen: Architecture | None,
    *,
    name: str = "choices",
    title: str = "Probability of each candidate",
    step: str = "epoch",
    what: str = "probability",
    kept: int | None = None,
) -> Picture:
    """Draw how probable each candidate was, cell by cell.

    A row holds the cells of one encoder, the last one those behind the encoders.

    Args:
        found: By epoch or another step, at least one. A cell has the same candidates wherever it is known.
        chosen: What was chosen in the end; its lines are thick.
        name: Of the picture.
        title: Of the picture.
        step: What a step is.
        what: What is drawn.
        kept: The step whose state was kept, marked by a vertical line.
    """
    cells = {cell: names for step_cells in found.values() for cell, names in step_cells.items()}
    rows = _rows(sorted(cells, key=reading_order))
    columns = min(_COLUMNS, max(4, *(len(row) for row in rows)))
    candidates = _by_family(dict.fromkeys(name for names in cells.values() for name in names))
    with drawing():
        below = 0.1 + 0.19 * math.ceil(len(candidates) / _ABREAST)
        figure = new_figure(1.08 * columns, 1.55 * len(rows) + below)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes, row in zip(grid, rows, strict=True):
            for panel, cell in zip(axes, row):
                _panel(panel, cell, found, chosen, kept)
            for panel in axes[1 : len(row)]:
                panel.tick_params(labelleft=False)
            for panel in axes[len(row) :]:
                panel.axis("off")
            axes[0].set_ylabel(f"{row[0].rpartition('.')[0]}\n{what}".strip(), size=8)
        for panel in grid[-1][: len(rows[-1])]:
            panel.set_xlabel(step, size=7.5, labelpad=1)
        figure.legend(handles=_handles(candidates), loc="outside lower center", ncols=_ABREAST, handlelength=2.2)
    thick = " The line of what was chosen is thick." if chosen is not None else ""
    line = f" The vertical line is at the {step} whose state was kept." if kept is not None else ""
    lines = {cell: _series(found, cell) for cell in sorted(cells, key=reading_order)}
    data = {step: {cell: _steps(found, cell) for cell in lines}, "cells": lines, "kept": kept}
    caption = f"A plot for every cell that leaves a choice; {step}s from 0.{thick}{line}"
    return Picture(name, title, caption, figure, data)


def _rows(cells: Sequence[str]) -> list[list[str]]:
    """Cells by encoder, cut where a row is full."""
    groups: dict[str, list[str]] = {}
    for cell in cells:
        groups.setdefault(cell.rpartition(".")[0], []).append(cell)
    return [group[start : start + _COLUMNS] for group in groups.values() for start in range(0, len(group), _COLUMNS)]


def _steps(found: Mapping[int, Probabilities], cell: str) -> list[int]:
    """Where a cell is known."""
    return [step for step, cells in found.items() if cell in cells]


def _series(found: Mapping[int, Probabilities], cell: str) -> dict[str, list[float]]:
    known = [cells[cell] for cells in found.values() if cell in cells]
    return {name: [each[name] for each in known] for name in known[0]}


def _panel(
    axes: Axes,
    cell: str,
    found: Mapping[int, Probabilities],
    chosen: Architecture | None,
    kept: int | None,
) -> None:
    steps = _steps(found, cell)
    taken = None if chosen is None else chosen.get(cell)
    for name, values in _series(found, cell).items():
        bold = name == taken
        axes.plot(steps, values, **_look(name), lw=2.4 if bold else 1.1, zorder=3 if bold else 2)
        if len(steps) == 1:
            axes.plot(steps, values, ".", color=_look(name)["color"])
    if kept is not None:
        axes.axvline(kept, color=MUTED, lw=0.7)
    axes.set_title(cell.rpartition(".")[2] + ("" if taken is None else f"\n{short(taken, 16)}"), size=7, pad=3)
    ends = sorted({steps[0], steps[-1]})
    axes.set(ylim=(-0.03, 1.03), yticks=(0, 0.5, 1), xticks=ends)
    if ends[0] != ends[-1]:
        margin = 0.04 * (ends[-1] - ends[0])
        axes.set_xlim(ends[0] - margin, ends[-1] + margin)
    axes.tick_params(labelsize=7, length=2, pad=1.5)


def _by_family(candidates: Mapping[str, None]) -> list[str]:
    return sorted(candidates, key=lambda name: FAMILIES.index(family_of(name)))


def _look(candidate: str) -> dict[str, Any]:
    """The family's color, and a dash for each of its members."""
    family = family_of(candidate)
    place = family.members.index(candidate) if candidate in family.members else sum(map(ord, candidate))
    return {"color": family.color, "linestyle": _DASHES[place % len(_DASHES)]}


def _handles(candidates: Sequence[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], **_look(name), lw=1.6, label=short(name)) for name in candidates]
