"""Charts of a comparison: scores of all methods, scores against costs, and how well supernets rank architectures."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from avhash_nas.comparison import Run
from avhash_nas.report.style import (
    INK,
    MUTED,
    PALETTE,
    Axes,
    Picture,
    drawing,
    legend_below,
    line_styles,
    new_figure,
    panel_grid,
)
from avhash_nas.results import ComparisonResults, kendall_tau
from avhash_nas.results.comparison_tables import UNTRAINED, UNTRAINED_HEADING
from avhash_nas.results.measures import RETRIEVED, Metrics, Statistic
from avhash_nas.results.search_quality import read_supernet_scores

Row = dict[str, Any]

_OFFSET = 0.22
"""Distance of two code lengths in a row of scores, in rows."""
_COLUMNS = 4
_COSTS = {
    "parameters_m": "parameters (million)",
    "search_s": "supernet and search (seconds)",
    "inference_12500_s": "encoding 12,500 videos (seconds)",
}


def draw_scores(results: ComparisonResults) -> Picture | None:
    """Draw mAP@100 on test of every entry at every code length, group by group, with the spread over seeds.

    Returns:
        None if no run is finished.
    """
    if not results.metrics:
        return None
    rows = _score_rows(results)
    styles = line_styles(f"{bits} bits" for bits in results.comparison.bits)
    with drawing():
        figure = new_figure(10.0, 1.1 + 0.3 * len(rows))
        panel = figure.subplots()
        for index, (label, style) in enumerate(styles.items()):
            offset = (index - (len(styles) - 1) / 2) * _OFFSET
            scores = {y + offset: row["scores"][index] for y, row in enumerate(rows) if row["scores"]}
            known = {y: score for y, score in scores.items() if score}
            means, spreads = ([score[key] or 0.0 for score in known.values()] for key in ("mean", "spread"))
            marker = {**style, "linestyle": "none"}
            panel.errorbar(means, list(known), xerr=spreads, label=label, elinewidth=1, **marker)
        panel.set_yticks([*range(len(rows))], [row["label"] for row in rows])
        for row, tick in zip(rows, panel.get_yticklabels(), strict=True):
            if not row["scores"]:
                tick.set(fontweight="bold", color=INK)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_xlim(left=0)
        panel.set_xlabel("mAP@100 on test (retrieved)")
        panel.tick_params(axis="y", length=0)
        legend_below(figure, panel, len(styles))
    caption = (
        "Means over seeds; bars of one sample standard deviation. Random projection: codes from a random projection of "
        "the features that all methods read, without training."
    )
    return Picture("scores", "Scores of all methods", caption, figure, {"rows": rows})


def _score_rows(results: ComparisonResults) -> list[Row]:
    """Headings, which have no scores, entries, and references that need no training, from the top."""
    lengths = results.comparison.bits
    rows: list[Row] = []
    for heading, entry in results.comparison.under_headings():
        if heading:
            rows.append({"label": heading, "scores": []})
        rows.append(_score_row(entry.title, [results.value(RETRIEVED, entry, bits) for bits in lengths]))
    untrained = [
        _score_row(title, [results.untrained(RETRIEVED, key, bits) for bits in lengths])
        for title, key in UNTRAINED.items()
    ]
    if known := [row for row in untrained if any(row["scores"])]:
        rows += [{"label": UNTRAINED_HEADING, "scores": []}] if results.comparison.entries[-1].group else []
        rows += known
    return rows


def _score_row(label: str, scores: list[Statistic | None]) -> Row:
    values = [score and {"mean": score.mean, "spread": score.spread, "seeds": score.count} for score in scores]
    return {"label": label, "scores": values}


def draw_costs(results: ComparisonResults) -> Picture | None:
    """Draw mAP@100 on test against parameters, search time and encoding time, each with its Pareto front.

    Returns:
        None if no run is finished.
    """
    bits = max(results.comparison.bits)
    points = _cost_points(results, bits)
    if not points:
        return None
    styles = line_styles(point["entry"] for point in points)
    with drawing():
        figure = new_figure(10.0, 3.7 + 0.18 * -(-len(points) // 5))
        panels = panel_grid(figure, len(_COSTS), len(_COSTS), sharey=True)
        for panel, (cost, across) in zip(panels, _COSTS.items(), strict=True):
            for point in points:
                style = {**styles[point["entry"]], "linestyle": "none", "markersize": 7}
                bar = point["spread"] or 0.0
                panel.errorbar(point[cost], point["score"], yerr=bar, label=point["entry"], elinewidth=1, **style)
            front = pareto([(point[cost], point["score"]) for point in points])
            panel.step(*np.array(front).T, where="post", color=MUTED, linestyle=":", linewidth=1.2, zorder=0)
            panel.set(xlabel=across)
            panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
        panels[0].set_ylabel("mAP@100 on test (retrieved)")
        legend_below(figure, panels[0], 5)
    caption = (
        f"{bits} bits. Means over seeds, bars of one sample standard deviation. Dotted: the Pareto front, which no "
        "method beats at the same or a lower cost. A network without a search has a search time of 0 seconds."
    )
    return Picture("costs", "Score and cost", caption, figure, {"bits": bits, "points": points})


def _cost_points(results: ComparisonResults, bits: int) -> list[dict[str, Any]]:
    points = []
    for entry in results.comparison.entries:
        score = results.value(RETRIEVED, entry, bits)
        if score is not None:
            metrics = [results.metrics[run] for run in results.finished(entry, bits)]
            costs = {
                "parameters_m": statistics.fmean(each["parameters"] / 1e6 for each in metrics),
                "search_s": statistics.fmean(search_seconds(each) for each in metrics),
                "inference_12500_s": statistics.fmean(each["time"]["inference_12500_s"] for each in metrics),
            }
            points.append({"entry": entry.title, "score": score.mean, "spread": score.spread, **costs})
    return points


def search_seconds(metrics: Metrics) -> float:
    """Time until a run had its architecture: all epochs of the supernet, and the search after them."""
    times, epochs = metrics["time"], metrics["epochs"]
    supernet: float = times.get("supernet_epoch_s", 0.0) * epochs.get("search", 0)
    return supernet + float(times.get("search_s", 0.0))


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, score) points that no other dominates, by rising cost.

    >>> pareto([(1, 0.5), (2, 0.4), (3, 0.7), (3, 0.6)])
    [(1, 0.5), (3, 0.7)]
    """
    front: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or score > front[-1][1]:
            front.append((cost, score))
    return front


def draw_ranking(results: ComparisonResults) -> Picture | None:
    """Draw the supernets' scores of the ranked architectures against their stand-alone scores.

    Returns:
        None if no architecture has both scores.
    """
    bits = max(results.comparison.bits)
    entries: dict[str, list[dict[str, Any]]] = {}
    for entry in results.comparison.entries:
        if seeds := [pairs for run in results.finished(entry, bits) if (pairs := _pairs(results, run)) is not None]:
            entries[entry.title] = seeds
    if not entries:
        return None
    columns = min(len(entries), _COLUMNS)
    with drawing():
        figure = new_figure(10.0 if columns > 2 else 5.0 * columns, 2.7 * -(-len(entries) // columns) + 0.4)
        panels = panel_grid(figure, len(entries), columns, sharey=True)
        for panel, (title, seeds) in zip(panels, entries.items(), strict=True):
            _scatter(panel, title, seeds)
        legend_below(figure, panels[0], 6)
    caption = (
        f"{bits} bits; each point is an architecture, each color a seed; mAP@100 (retrieved) on val. tau is Kendall's "
        "tau-b, averaged over seeds: 1 if the supernet ranks the architectures correctly, 0 if it guesses."
    )
    return Picture("ranking", "Supernet and stand-alone scores", caption, figure, {"bits": bits, "entries": entries})


def _pairs(results: ComparisonResults, run: Run) -> dict[str, Any] | None:
    """Both kinds of scores of the ranked architectures, for one run."""
    supernet, alone = read_supernet_scores(run.scores), results.alone.get((run.bits, run.seed), {})
    both = sorted(supernet.keys() & alone.keys())
    if len(both) < 2:
        return None
    scores = {"supernet": [supernet[each] for each in both], "alone": [alone[each] for each in both]}
    return {"seed": run.seed, "tau": kendall_tau(scores["supernet"], scores["alone"]), **scores}


def _scatter(panel: Axes, title: str, seeds: Sequence[dict[str, Any]]) -> None:
    for index, pairs in enumerate(seeds):
        color = PALETTE[index % len(PALETTE)]
        panel.scatter(pairs["supernet"], pairs["alone"], s=16, color=color, label=f"seed {pairs['seed']}", linewidths=0)
    tau = np.nanmean([pairs["tau"] for pairs in seeds])
    panel.set(title=f"{title}, tau {tau:.2f}", xlabel="with the supernet's weights", ylabel="trained alone")
    panel.title.set_color(INK)
