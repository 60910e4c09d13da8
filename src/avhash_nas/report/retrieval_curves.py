"""P@K, R@K and precision-recall curves of several methods, as in the paper's Fig. 6."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.report.style import Axes, Picture, drawing, line_styles, new_figure
from avhash_nas.results import Method

_LAST_RANK = 1000
"""Largest K drawn; nobody looks at answers beyond it."""
_POINTS = 120
_KINDS = (("P@K", "K", "precision at K"), ("R@K", "K", "recall at K"), ("P-R", "recall", "precision"))

Floats = NDArray[np.float64]


def draw_retrieval_curves(methods: Sequence[Method]) -> Picture | None:
    """Draw one row of three panels for each code length.

    Args:
        methods: Methods; runs without curves.json are left out.

    Returns:
        None if no run has curves.
    """
    lines = [line for method in methods if (line := _line(method)) is not None]
    if not lines:
        return None
    lengths = sorted({line["bits"] for line in lines})
    styles = line_styles(line["label"] for line in lines)
    with drawing():
        figure = new_figure(10.0, 3.1 * len(lengths) + 0.3 + 0.18 * -(-len(styles) // 4))
        panels = figure.subplots(len(lengths), len(_KINDS), squeeze=False)
        for row, bits in zip(panels, lengths, strict=True):
            for panel, (kind, across, up) in zip(row, _KINDS, strict=True):
                panel.set(title=f"{kind}, {bits} bits", xlabel=across, ylabel=up)
                for line in lines:
                    if line["bits"] == bits:
                        _draw(panel, kind, line, styles[line["label"]])
                panel.set_ylim(bottom=0)
                if across == "K":
                    panel.set_xscale("log")
        handles = {label: line for row in panels for line, label in zip(*row[0].get_legend_handles_labels())}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    return Picture("curves", "Precision and recall on test", _caption(methods, lines), figure, {"curves": lines})


def _line(method: Method) -> dict[str, Any] | None:
    """Mean and range over the seeds; P-R at common ranks, with both coordinates averaged."""
    curves = [run.curves["by_rank"] for run in method.runs if run.curves]
    if not curves:
        return None
    last = min(len(curve["at"]) for curve in curves)
    precision, recall = (np.array([curve[key][:last] for curve in curves]) for key in ("precision", "recall"))
    near, far = _ranks(min(last, _LAST_RANK)), _ranks(last)
    return {
        "label": method.label,
        "bits": method.bits,
        "seeds": len(curves),
        "K": near.tolist(),
        "P@K": _spread(precision[:, near - 1]),
        "R@K": _spread(recall[:, near - 1]),
        "P-R": {"at": recall[:, far - 1].mean(0).tolist(), **_spread(precision[:, far - 1])},
    }


def _ranks(last: int) -> NDArray[np.int64]:
    """Some ranks from 1 to the last, denser at the beginning."""
    return np.unique(np.geomspace(1, last, _POINTS).astype(np.int64))


def _spread(values: Floats) -> dict[str, list[float]]:
    return {"mean": values.mean(0).tolist(), "low": values.min(0).tolist(), "high": values.max(0).tolist()}


def _draw(panel: Axes, kind: str, line: dict[str, Any], style: dict[str, Any]) -> None:
    values = line[kind]
    at = values.get("at", line["K"])
    panel.plot(at, values["mean"], label=line["label"], markevery=0.2, **style)
    if line["seeds"] > 1:
        panel.fill_between(at, values["low"], values["high"], color=style["color"], alpha=0.18, linewidth=0)


def _caption(methods: Sequence[Method], lines: Sequence[dict[str, Any]]) -> str:
    sentences = ["Means over all queries of the test split; a query without a relevant video counts as 0."]
    if any(line["seeds"] > 1 for line in lines):
        sentences.append("Lines are means over seeds, bands reach from the lowest to the highest value.")
    drawn = {(line["label"], line["bits"]) for line in lines}
    if missing := [f"{each.label} at {each.bits} bits" for each in methods if (each.label, each.bits) not in drawn]:
        sentences.append(f"No curves, because no run is finished: {', '.join(missing)}.")
    return " ".join(sentences)
