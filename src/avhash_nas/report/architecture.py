"""Pictures of architectures, side by side, as in the paper's Fig. 5."""

from collections.abc import Sequence
from typing import Any

from avhash_nas.networks import network_graph
from avhash_nas.report.boxes import Canvas
from avhash_nas.report.design import HEIGHT, ROWS, WIDTH, Design, differing, places, row_at
from avhash_nas.report.style import (
    FAMILIES,
    GRID,
    INK,
    MUTED,
    SKIP,
    Axes,
    Picture,
    drawing,
    family_of,
    new_figure,
    short,
)

_LEGEND = 0.6
_COLUMNS = 2
_PARTS = {"E1": ("up", "U3"), "E2": ("M3", "U4")}
"""First and last module of the two halves of an encoder (Eq. 3-5)."""
_MARGIN = {"visual audio": (0.1, "left"), "visual": (2.8, "left"), "audio": (WIDTH - 2.8, "right")}
"""Position and alignment of the labels of the modules after the encoders, by modalities."""
_AFTER_ENCODERS = {"fusion": "I1", "transformation": "T", "hash layer": "hash"}
"""Labels of the modules after the encoders, and a module in the row of each."""


def draw_architectures(designs: Sequence[Design]) -> Picture:
    """Draw one or several architectures, two in a row.

    Every cell is a box with its operator, in the color of the operator's family, and a bar for the certainty of the
    choice. Skips and absent encoders are faded. If several architectures are drawn, cells that differ have a thick
    frame and an inequality sign.
    """
    marked = differing(designs)
    columns = min(len(designs), _COLUMNS)
    rows = -(-len(designs) // columns)
    width, height = columns * WIDTH, rows * HEIGHT + _LEGEND
    with drawing():
        figure = new_figure(width, height, layout=None)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        for number, design in enumerate(designs):
            row, column = divmod(number, columns)
            _draw(Canvas(axes, column * WIDTH, row * HEIGHT, f"{number}"), design, marked)
        _legend(axes, designs, rows * HEIGHT, width, differ=bool(marked))
    shown = [{"title": each.title, "cells": dict(each.architecture), "weights": dict(each.weights)} for each in designs]
    title = "Architecture" if len(designs) == 1 else "Architectures side by side"
    data = {"architectures": shown, "differing": list(marked)}
    return Picture("architecture", title, _caption(designs, marked), figure, data)


def _caption(designs: Sequence[Design], marked: Sequence[str]) -> str:
    sentences = ["Cells that pass on their input unchanged (skip) are faded."]
    meanings = dict.fromkeys(design.meaning for design in designs if design.weights)
    if meanings:
        sentences.append(f"Bar and number below an operator: {'; or '.join(meanings)}.")
    else:
        sentences.append("The certainty of the choices is not known.")
    if len(designs) > 1:
        different = f"{len(marked)} cells differ: {', '.join(marked)}."
        sentences.append(different if marked else "All common cells are equal.")
    return " ".join(sentences)


def _draw(canvas: Canvas, design: Design, marked: Sequence[str]) -> None:
    where = places(design.modalities)
    canvas.text(WIDTH / 2, 0.22, design.title, size=10)
    for modality in ("visual", "audio"):
        _encoder(canvas, modality, present=modality in design.modalities)
    for title, leaf in _AFTER_ENCODERS.items():
        x, side = _MARGIN[" ".join(design.modalities)]
        canvas.text(x, row_at(ROWS[leaf]), title, size=7.5, color=MUTED, ha=side)
    for node in network_graph(design.modalities):
        target = where[node.module]
        for source in (where[name] for name in node.inputs if name in where):
            between = (source.y < each.y < target.y and each.column == source.column for each in where.values())
            canvas.edge(source, target, around=source.column == target.column and any(between))
    for module, place in where.items():
        if module in design.architecture:
            candidate, weight = design.architecture[module], design.weights.get(module)
            leaf = module.rpartition(".")[2]
            words = (short(candidate), leaf if weight is None else f"{leaf} · {weight:.2f}")
            canvas.cell(module, place, words, family_of(candidate), weight, differs=module in marked)
        else:
            text = design.fixed(module)
            canvas.text(place.x, place.y, text, size=8, color=MUTED if text.startswith("no ") else INK)


def _encoder(canvas: Canvas, modality: str, *, present: bool) -> None:
    """The backgrounds of an encoder's two halves, or the outline of an absent encoder."""
    where = [place for module, place in places([modality]).items() if module.startswith(f"{modality}.")]
    left = min(place.x - place.width / 2 for place in where) - 0.07
    right = max(place.x + place.width / 2 for place in where) + 0.07
    if not present:
        canvas.panel((left, row_at(ROWS["up"]) - 0.2, right, row_at(ROWS["U4"]) + 0.25), f"no {modality} encoder", None)
        return
    for part, (first, last) in _PARTS.items():
        top, bottom = row_at(ROWS[first]) - 0.27, row_at(ROWS[last]) + 0.25
        canvas.panel((left, top, right, bottom), part, "left" if modality == "visual" else "right")


def _legend(axes: Axes, designs: Sequence[Design], top: float, width: float, *, differ: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    present = {family_of(candidate).title for design in designs for candidate in design.architecture.values()}
    handles: list[Any] = [
        Patch(facecolor="none", edgecolor=GRID, linestyle="--", label=family.title)
        if family is SKIP
        else Patch(facecolor=(family.color, 0.22), edgecolor=family.color, label=family.title)
        for family in FAMILIES
        if family.title in present
    ]
    if differ:
        handles.append(Line2D([], [], marker="o", color=INK, linestyle="", markersize=7, label="differs"))
    axes.legend(
        handles=handles,
        loc="center",
        bbox_to_anchor=(width / 2, top + _LEGEND / 2),
        bbox_transform=axes.transData,
        ncols=4 if width < 6 else len(handles),
        handlelength=1.4,
        columnspacing=1.0,
        borderaxespad=0,
    )
